"""systems.yaml: connectors that exist, drop folders that can work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from pydantic import BaseModel

from mappings.check.places import Problems
from mappings.errors import Problem
from mappings.language.complaints import read_model
from mappings.language.node import walk
from mappings.language.project import Project, shared_keys
from mappings.language.words import did_you_mean

DURATION = re.compile(r"\d+(\.\d+)?(ms|s|m|h|d)")


def check_systems(project: Project, connectors: Mapping[str, type[BaseModel] | None]) -> Problems:
    """`connectors`: the model of each one's own keys."""
    for name, system in project.systems.items():
        tree = project.system_trees[name]
        if system.connector not in connectors:
            hint = did_you_mean(system.connector, connectors)
            message = f"{name}: there is no connector {system.connector!r}{hint}"
            yield walk(tree, ("connector",))[0].spot.problem(message)
            continue
        model = connectors[system.connector]
        if model is not None:
            for found in read_model(model, shared_keys(tree)[1])[1]:
                yield Problem(found.file, found.line, found.column, f"{name}: {found.message}")
        if system.connector != "file":
            continue
        if not system.folder and system.hooks is None:
            yield tree.spot.warning(f"{name}: a file system needs `folder`, where its files are dropped; without it"
                                    " a file is read only where --file names it")
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
