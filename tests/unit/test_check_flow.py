"""What keeps one flow from running is what `check` says of it and of its system, and nothing of another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.registry import settings_models
from mappings.check.project import check_flow, check_project
from mappings.language.project import read_project
from tests.check_desk import FLOW, lay

SYSTEMS = """systems:
  erp: {connector: file, folder: drop}
  hr: {connector: sql, url: postgresql://navette@db.example/hr}
  old: {connector: file, folder: in, done: past, failed: past}
"""
PEOPLE = """flow: people
system: hr
direction: two-way
read: {resource: staff}
write: {archived: archive}
into: {entity: company, key: id, absent: unlink, fields: {name: name}}
"""
FILES = {
    "systems.yaml": SYSTEMS, "flows/people.yaml": PEOPLE,
    "flows/other.yaml": FLOW.replace("customers", "other").replace("key: CODE", "key: [CODE, CODE]"),
    "flows/old.yaml": FLOW.replace("customers", "old").replace("system: erp", "system: old"),
}


def every(root: Path) -> list[str]:
    """The errors of the whole project."""
    found = check_project(root, {}, connectors=settings_models(), builtin=root / "mappings/b")
    return [str(problem) for problem in found if problem.severity == "error"]


def of_flow(root: Path, name: str) -> list[str]:
    project = read_project(root, {}, root / "mappings/b").project
    connector = project.systems[project.flows[name].system].connector
    return [str(problem) for problem in check_flow(project, name, settings_models([connector]))]


def test_a_flow_has_its_own_mistakes_and_those_of_its_system(tmp_path: Path):
    lay(tmp_path, FILES)
    found = {name: of_flow(tmp_path, name) for name in ("customers", "people", "other", "old")}
    assert {name: len(lines) for name, lines in found.items()} == {"customers": 0, "people": 1, "other": 1, "old": 1}
    assert "nothing tells how staff marks a row as archived" in found["people"][0]
    assert sorted(line for lines in found.values() for line in lines) == sorted(every(tmp_path))


@pytest.mark.parametrize(("before", "after"), [
    ("name: NOM", "nam: NOM"), ("entity: company", "entity: compny"), ("system: erp", "system: epr"),
    ("flow: wrong", "flow: 8wrong"), ("key: CODE", "kye: CODE"), ("key: CODE", "key: 0"), ("read: {", "read: {{"),
])
def test_a_flow_that_cannot_be_read_as_the_language_stops_the_project(tmp_path: Path, before: str, after: str):
    wrong = FLOW.replace("customers", "wrong")
    builtin = lay(tmp_path, {"flows/wrong.yaml": wrong}) / "mappings/b"
    assert not [problem for problem in read_project(tmp_path, {}, builtin).problems if problem.severity == "error"]
    lay(tmp_path, {"flows/wrong.yaml": wrong.replace(before, after, 1)})
    problems = read_project(tmp_path, {}, builtin).problems
    assert {problem.file for problem in problems if problem.severity == "error"} == {"mappings/flows/wrong.yaml"}


@pytest.mark.parametrize(("before", "after"), [
    ("key: CODE", "key: [CODE, CODE]"), ("name: NOM", "name: {from: NOM, as: siert}"), ("read: {", "read: {every: week, order: x, "),
])
def test_what_is_wrong_by_its_meaning_stops_its_flow_only(tmp_path: Path, before: str, after: str):
    wrong = FLOW.replace("customers", "wrong").replace(before, after, 1)
    lay(tmp_path, {"flows/wrong.yaml": wrong})
    assert read_project(tmp_path, {}, tmp_path / "mappings/b").problems == []
    assert of_flow(tmp_path, "customers") == []
    assert of_flow(tmp_path, "wrong")


def test_what_two_flows_are_to_each_other_stops_neither(tmp_path: Path):
    pairs = FLOW.replace("flow: customers", "flow: pairs").replace("key: CODE", "ids: customers\n    key: [CODE, SITE]")
    lay(tmp_path, {"flows/pairs.yaml": pairs})
    (said,) = every(tmp_path)
    assert "keys of customers are CODE and SITE here and CODE in customers" in said
    assert (of_flow(tmp_path, "customers"), of_flow(tmp_path, "pairs")) == ([], [])
