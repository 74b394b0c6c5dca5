"""systems.yaml: connectors that exist, drop folders that can work."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

from mappings.check.places import Problems
from mappings.language.node import walk
from mappings.language.project import Project
from mappings.language.words import did_you_mean

DURATION = re.compile(r"\d+(\.\d+)?(ms|s|m|h)")
_FILE_KEYS = ("folder", "done", "failed", "stable_for", "marker")


def check_systems(project: Project, connectors: Collection[str]) -> Problems:
    for name, system in project.systems.items():
        tree = project.system_trees[name]
        if system.connector not in connectors:
            hint = did_you_mean(system.connector, connectors)
            message = f"{name}: there is no connector {system.connector!r}{hint}"
            yield walk(tree, ("connector",))[0].spot.problem(message)
            continue
        if system.connector != "file":
            for key in _FILE_KEYS:
                if key in tree.entries:
                    yield walk(tree, (key,))[1].problem(f"{name}: `{key}` belongs to the connector file")
            continue
        if not system.folder:
            yield tree.spot.problem(f"{name}: a file system needs `folder`, where its files are dropped")
        for key in ("done", "failed"):
            folder = getattr(system, key)
            if not folder or PurePath(folder).is_absolute() or ".." in PurePath(folder).parts or folder == ".":
                spot = walk(tree, (key,))[0].spot
                yield spot.problem(f"{name}.{key}: expected a folder below the drop folder, such as {key}")
        if system.done == system.failed:
            yield walk(tree, ("failed",))[0].spot.problem(f"{name}: `done` and `failed` need a folder each")
        if not DURATION.fullmatch(system.stable_for):
            spot = walk(tree, ("stable_for",))[0].spot
            yield spot.problem(f"{name}.stable_for: expected a time such as 2s, 500ms or 1m")
