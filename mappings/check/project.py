"""`navette check`: everything an integrator wrote, read and judged, with every problem at once.

::

    read_project ─▶ systems ─▶ each flow: reading, columns, intos, fields, links ─▶ across flows ─▶ two-way
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from mappings.check.across import check_across
from mappings.check.columns import check_columns
from mappings.check.derived import check_derived
from mappings.check.fields import check_fields
from mappings.check.hooks import check_hook, check_secrets
from mappings.check.intos import check_intos
from mappings.check.links import check_links
from mappings.check.places import FlowPlace, flow_places
from mappings.check.reading import check_reading, pattern_of
from mappings.check.systems import check_systems
from mappings.check.two_way import check_two_way
from mappings.errors import Problem
from mappings.language.inherit import named_heirs
from mappings.language.node import Spot
from mappings.language.project import BUILTIN, Project, read_project
from mappings.language.words import nearest

ONLY_FILES: Mapping[str, type[BaseModel] | None] = {"file": None}
FOLDERS = ("entities", "flows", "codes")


def check_project(
    root: Path,
    env: Mapping[str, str] = os.environ,
    *,
    connectors: Mapping[str, type[BaseModel] | None] = ONLY_FILES,
    builtin: Path = BUILTIN,
) -> list[Problem]:
    """Every problem of the project, errors and warnings, in the order of files and lines.

    `connectors`: those that there are, with the model of each one's own keys in systems.yaml.
    """
    draft = read_project(root, env, builtin)
    project, found = draft.project, list(draft.problems)
    found += check_systems(project, connectors)
    found += check_secrets(project)
    places = list(flow_places(project))
    found += named_heirs((place.flow.flow, place.tree, _flow(place)) for place in places)
    lost = any(each.severity == "error" and each.file.startswith("mappings/flows/") for each in draft.problems)
    found += check_across(project, places, every_flow=not lost)
    found += check_two_way(places, connectors)
    found += _misplaced(root)
    return sorted(set(found), key=lambda problem: (problem.file, problem.line, problem.column, problem.message))


def check_flow(project: Project, name: str, connectors: Mapping[str, type[BaseModel] | None]) -> list[Problem]:
    """The errors of one flow and of its system, in the order of their places: what keeps it from running.

    What two flows are to each other is `check_project`'s to tell: neither is wrong by itself, and what was written
    last must not stop what runs already.
    """
    place = FlowPlace(project, project.flows[name], project.trees[name])
    system = place.flow.system
    alone = replace(project, systems={system: project.systems[system]},
                    system_trees={system: project.system_trees[system]})
    found = [*check_systems(alone, connectors), *check_secrets(alone)]
    found += named_heirs([(name, place.tree, _flow(place))])
    found += check_across(project, [place], every_flow=False)
    found += check_two_way([place], connectors)
    errors = {problem for problem in found if problem.severity == "error"}
    return sorted(errors, key=lambda problem: (problem.file, problem.line, problem.column, problem.message))


def _flow(place: FlowPlace) -> Iterator[Problem]:
    pattern = pattern_of(place)
    yield from check_reading(place)
    yield from check_hook(place)
    yield from check_columns(place, pattern)
    yield from check_derived(place)
    yield from check_intos(place)
    for into in place.intos():
        yield from check_fields(into)
        yield from check_links(into, pattern)


def _misplaced(root: Path) -> Iterator[Problem]:
    """Folders and files that nobody reads because of a slip in their name."""
    folder = root / "mappings"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        shown = f"mappings/{path.name}"
        if path.is_dir() and path.name not in FOLDERS and (near := nearest(path.name, FOLDERS)):
            yield Spot(shown).warning(f"this folder is not read; did you mean mappings/{near}?")
        if path.is_file() and path.name in ("systems.yml", "system.yaml", "system.yml"):
            yield Spot(shown).warning("this file is not read; did you mean mappings/systems.yaml?")
