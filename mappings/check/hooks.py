"""Flows that take calls: their system says what calls are signed with, and a call alone makes whole rows."""

from __future__ import annotations

from mappings.check.places import FlowPlace, Problems
from mappings.codecs.columns import variables_used
from mappings.language.derived import roots
from mappings.language.node import walk
from mappings.language.project import Project


def check_secrets(project: Project) -> Problems:
    """What calls are signed with comes from the environment or from a file."""
    for name, tree in project.system_trees.items():
        node, _, path = walk(tree, ("hooks", "secret"))
        if len(path) < 2:
            continue
        for given in node.items or [node]:
            if isinstance(given.value, str) and not given.secret:
                yield given.spot.problem(
                    f"{name}.hooks.secret: a secret may not stand in this file; write ${{NAME}} and put it into the"
                    " environment, or name its file with secret_file")


def check_hook(place: FlowPlace) -> Problems:
    """One flow; its system may be unknown."""
    flow, system = place.flow, place.project.systems.get(place.flow.system)
    if system is None:
        return
    if system.connector == "file" and system.hooks is not None and not system.folder:
        for key, asked in (("files", flow.read.files is not None), ("direction", flow.direction == "out")):
            if asked:
                yield (place.key("read", key) if key == "files" else place.value(key)).problem(
                    f"{key}: {flow.system} has no folder, it only calls; give the system a `folder`")
    live = flow.schedule is not None and flow.schedule.live is not None and flow.direction != "out"
    if not flow.read.hook:
        if live and system.connector == "file":
            yield place.key("schedule", "live").problem(
                f"schedule.live: {flow.system} is a folder, which its sensor watches; live is for systems that answer,"
                " and for flows with read: {hook: true}")
        return
    if system.hooks is None:
        yield place.key("read", "hook").problem(
            f"read.hook: what are the calls of {flow.system} signed with? Write"
            " hooks: {secret: ${NAME}} at the system")
    if flow.direction == "out":
        yield place.key("read", "hook").problem("read.hook: a flow of direction: out takes nothing in")
    if flow.read.query is not None:
        yield place.key("read", "hook").problem("read.hook: a call brings no rows of a query")
    if parts := sorted(variables_used(flow)):
        yield place.key("read", "hook").problem(
            f"read.hook: a call has no file name, so ${parts[0]} has no value; give calls a flow of their own")
    positions = [column for into in flow.into for part in into.key for column in roots(part) if isinstance(column, int)]
    if positions:
        yield place.key("read", "hook").problem(
            f"read.hook: what a call brings has names and no positions, so {positions[0]} is no column of it")
