"""A project as a whole: systems, entities, flows and code tables, read and merged, with every problem at once.

::

    mappings/systems.yaml  ◀─ systems.$NAVETTE_ENV.yaml     ┐
    built-in entities      ◀─ mappings/entities/*.yaml      ├─▶ Project, or every Problem
    mappings/flows/*.yaml  ◀─ the flow they are `like`      │
    mappings/codes/*.csv                                    ┘
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from mappings.errors import ConfigurationError, Problem
from mappings.language.codes import read_codes
from mappings.language.complaints import read_model
from mappings.language.entities import Entity, Mastery, is_name, read_entities
from mappings.language.environment import interpolate
from mappings.language.flow import Flow
from mappings.language.inherit import inherit, merge, named_heirs
from mappings.language.names import Known, unknown_names
from mappings.language.node import Node, Spot
from mappings.language.shapes import aliases
from mappings.language.source import read_yaml
from mappings.language.system import FOLDER_KEYS, System
from mappings.language.words import did_you_mean, listed

__all__ = ["BUILTIN", "Draft", "Entity", "Mastery", "Project", "load_project", "read_project", "require_project"]

BUILTIN = Path(__file__).parent.parent / "builtin"
OWNERS = ("crm", "shared", "else")  # words that stand beside system names in `masters`


@dataclass(frozen=True)
class Project:
    """Everything an integrator wrote, valid, by name. `trees` holds where each line of a flow was written."""

    root: Path
    systems: dict[str, System] = field(repr=False)  # holds what came from the environment
    entities: dict[str, Entity]
    flows: dict[str, Flow]
    codes: dict[str, dict[str, str]] = field(repr=False)
    trees: dict[str, Node] = field(default_factory=dict, repr=False, compare=False)
    system_trees: dict[str, Node] = field(default_factory=dict, repr=False, compare=False)
    # by system: the keys of its connector's own, in plain form; they may hold secrets
    connections: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def live_systems(self) -> list[str]:
        """The systems with flows that are live, in the order of their names."""
        flows = self.flows.values()
        return sorted({flow.system for flow in flows if flow.schedule is not None and flow.schedule.live is not None})

    def flow_text(self, name: str) -> str:
        """The flow with everything inherited, as YAML. Raises ConfigurationError for a flow that there is not."""
        if name not in self.trees:
            raise ConfigurationError(f"there is no flow {name!r}{did_you_mean(name, self.trees)}")
        values = self.trees[name].plain()
        values.pop("like", None)
        first = {key: values.pop(key) for key in ("flow", "system", "direction") if key in values}
        return dump({**first, **values})


@dataclass
class Draft:
    """What could be read, and every problem met; the project lacks what has one."""

    project: Project
    problems: list[Problem]


def load_project(root: Path, env: Mapping[str, str] = os.environ) -> tuple[Project | None, list[Problem]]:
    """The project, or None where there is an error; warnings alone do not stop it."""
    draft = read_project(root, env)
    failed = any(problem.severity == "error" for problem in draft.problems)
    return (None if failed else draft.project), draft.problems


def require_project(root: Path, env: Mapping[str, str] = os.environ) -> Project:
    """The project. Raises ConfigurationError, which carries every problem."""
    project, problems = load_project(root, env)
    if project is None:
        errors = tuple(problem for problem in problems if problem.severity == "error")
        count = "one mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        message = "\n".join([f"the project has {count}:", *map(str, errors)])
        raise ConfigurationError(message, todo="correct it; `navette check` tells more", problems=errors)
    return project


def read_project(root: Path, env: Mapping[str, str] = os.environ, builtin: Path = BUILTIN) -> Draft:
    """As far as it can be read. `builtin` is the folder of the built-in entities."""
    folder = root / "mappings"
    if not folder.is_dir():
        message = f"there is no folder mappings in {root.name or root}; `navette init DIR` writes a first project"
        return Draft(Project(root, {}, {}, {}, {}), [Spot("mappings").problem(message)])
    reading = _Reading(root)
    systems, system_trees, connections = reading.systems(folder, env)
    given, found = _builtin_trees(builtin)
    reading.problems += found
    own = reading.named(_yaml_files(folder / "entities"), "entity")
    entities, found = read_entities(given, own, list(system_trees))
    reading.problems += found
    codes = {}
    for path in sorted((folder / "codes").glob("*.csv")):
        codes[path.stem], found = read_codes(path, reading.shown(path))
        reading.problems += found
    entity_names = [*given, *(name for name in own if name not in given)]
    known = Known(list(system_trees), entity_names, entities, (), list(codes))
    flows, trees = reading.flows(_yaml_files(folder / "flows"), known)
    project = Project(root, systems, entities, flows, codes, trees, system_trees, connections)
    problems = sorted(set(reading.problems), key=lambda p: (p.file, p.line, p.column, p.message))
    return Draft(project, problems)


@cache
def _builtin_trees(folder: Path) -> tuple[dict[str, Node], list[Problem]]:
    """The built-in entities' files; they do not change while a process runs."""
    reading = _Reading(folder.parent)
    return reading.named(sorted(folder.glob("*.yaml")), "entity"), reading.problems


@dataclass
class _Reading:
    """One reading of a project, with the problems met so far."""

    root: Path
    problems: list[Problem] = field(default_factory=list)

    def shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def systems(self, folder: Path, env: Mapping[str, str]
                ) -> tuple[dict[str, System], dict[str, Node], dict[str, dict[str, Any]]]:
        """The systems, the tree of every one that is declared, faulty ones included, and their connectors' own keys."""
        tree = self._yaml(folder / "systems.yaml")
        overlay = env.get("NAVETTE_ENV", "")
        if overlay:
            over = self._overlay(folder, overlay)
            tree = merge(tree, over) if tree and over else tree or over
        if tree is None:
            return {}, {}, {}
        tree, found = interpolate(tree, env)
        self.problems += found
        declared = tree.get("systems")
        for name, entry in tree.entries.items():
            if name != "systems":
                self.problems.append(entry.key.problem(f"unknown key {name!r}; systems stand under `systems:`"))
        if declared is None or not isinstance(declared.value, dict):
            message = "expected `systems:`, and below it one entry for each system"
            self.problems.append((declared or tree).spot.problem(message))
            return {}, {}, {}
        systems, connections = {}, {}
        for name, entry in declared.entries.items():
            if name in OWNERS or not is_name(name):
                rule = f"a-z, 0-9 and _, beginning with a letter, and not {listed(OWNERS)}"
                message = f"{name!r} cannot name a system: {rule}"
                self.problems.append(entry.key.problem(message))
            common, own = shared_keys(entry.node)
            system, found = read_model(System, common)
            self.problems += [Problem(p.file, p.line, p.column, f"{name}: {p.message}") for p in found]
            if system is not None:
                systems[name] = system
                connections[name] = own.plain()
        return systems, {name: entry.node for name, entry in declared.entries.items()}, connections

    def _overlay(self, folder: Path, name: str) -> Node | None:
        path = folder / f"systems.{name}.yaml"
        if "/" in name or "\\" in name or not path.is_file():
            there = [other.name.split(".")[1] for other in sorted(folder.glob("systems.*.yaml"))]
            spot = Spot(self.shown(folder / "systems.yaml"))
            message = f"NAVETTE_ENV is {name!r}, but there is no systems.{name}.yaml{did_you_mean(name, there)}"
            self.problems.append(spot.problem(message))
            return None
        return self._yaml(path)

    def named(self, paths: list[Path], word: str) -> dict[str, Node]:
        """The files' trees by the name that each gives itself under `word`."""
        trees: dict[str, Node] = {}
        for path in paths:
            tree = self._yaml(path)
            if tree is None:
                continue
            node = tree.get(word)
            name = node.value if node else None
            if node is None:
                message = f"{word!r} is missing: the file begins with `{word}: {path.stem}`"
                self.problems.append(tree.spot.problem(message))
            elif not isinstance(name, str) or not is_name(name):
                message = f"{word}: expected a name of a-z, 0-9 and _, at most 40, that begins with a letter"
                self.problems.append(node.spot.problem(message))
            elif name in trees:
                first = trees[name].spot.file
                self.problems.append(node.spot.problem(f"the {word} {name!r} is declared in {first} already"))
            else:
                trees[name] = tree
        return trees

    def flows(self, paths: list[Path], known: Known) -> tuple[dict[str, Flow], dict[str, Node]]:
        written = self.named(paths, "flow")
        whole, found = inherit(written)
        self.problems += found
        known = Known(known.systems, known.entity_names, known.entities, list(whole), known.codes)
        flows: dict[str, Flow] = {}
        for name, tree in whole.items():
            mark = tree.get("abstract")
            abstract = mark is not None and mark.value is True
            flow, found = read_model(Flow, tree, ignore=("missing", "incomplete") if abstract else ())
            self.problems += found
            if flow is not None and not abstract:
                flows[name] = flow
        self.problems += named_heirs((name, whole[name], unknown_names(flow, whole[name], known))
                                     for name, flow in flows.items())
        return flows, {name: whole[name] for name in flows}

    def _yaml(self, path: Path) -> Node | None:
        tree, found = read_yaml(path, self.shown(path))
        self.problems += found
        return tree


def shared_keys(tree: Node) -> tuple[Node, Node]:
    """A system's tree in two: the keys that every system has, and those of its connector (none for files)."""
    connector = tree.get("connector")
    if not isinstance(tree.value, dict) or connector is None or connector.value in ("file", None):
        return tree, tree.with_entries({})
    shared = set(aliases(System)) - FOLDER_KEYS
    return (tree.with_entries({key: entry for key, entry in tree.entries.items() if key in shared}),
            tree.with_entries({key: entry for key, entry in tree.entries.items() if key not in shared}))


def _yaml_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


class _Representer(SafeRepresenter):
    """Quotes what begins like a mapping's key or value: `{a: :0}` is written by the library, and not read."""

    def text(self, text: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'" if text.startswith((":", "?")) else None)


_Representer.add_representer(str, _Representer.text)


def dump(values: Any) -> str:
    """Plain values as YAML that reads back as the same values."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


