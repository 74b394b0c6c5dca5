"""The JSON Schema takes what the language takes, refuses what it refuses, and says what every key means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mappings.language.schema import language_schema
from mappings.language.source import parse_yaml

ROOT = Path(__file__).parents[2]
SCHEMA = language_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FILES = [
    path
    for folder in ("demo/mappings", "tests/real_exports/project/mappings", "mappings/builtin")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if not path.name.startswith("systems.") or path.name == "systems.yaml"  # an overlay is a part of a file
]


def faults(content: bytes) -> list[str]:
    tree, problems = parse_yaml(content, "f.yaml")
    assert problems == []
    assert tree is not None
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(tree.plain())]


def test_it_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_there_are_files_to_try_it_on():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_mapping_of_this_repository_fits(path: Path):
    assert faults(path.read_bytes()) == []


INTO = "into: {entity: company, key: A, fields: {name: N}}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"flow: a\nsystem: s\n{INTO}",
        f"flow: a\nlike: b\n{INTO}",
        "flow: a\nabstract: true\nread: {format: csv}\n",
        f"flow: a\nguard: {{rejects: 5%, creates: 0.2, updates: null}}\n{INTO}",
        f"flow: a\nschedule: 0 6 * * *\nread: {{records: {{by: 1, use: 1}}}}\n{INTO}",
        "flow: a\ninto: [{entity: company, key: [1, $x], match: [siret, [name, city], {on: vat, agree: name}]}]\n",
        "flow: a\ninto: {entity: company, key: A, when: {A: 1, B: [x, null, true], C: {not: x}, D: {matches: x}}}\n",
        "flow: a\ninto: {entity: company, key: A, fields: {a: 1, b: null, c: {constant: 1}, d: {from: X, unit: h}}}\n",
        "entity: company\nmasters: {a: crm, b: [x, y], c: {system: x, lock: false}, d: {customer: x, else: [y, z]}}\n",
        "systems: {a: {connector: file, folder: x, stable_for: 2s}}\n",
    ],
)
def test_what_the_language_takes_it_takes(text: str):
    assert faults(text.encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        f"flow: a\nshedule: x\n{INTO}",
        f"flow: a\nguard: {{rejects: lots}}\n{INTO}",
        f"flow: a\nguard: {{rejects: 2}}\n{INTO}",
        f"flow: a\ndirection: inward\n{INTO}",
        f"flow: a\nread: {{format: cvs}}\n{INTO}",
        "flow: a\ninto: {entity: company, key: A, on_match: maybe}\n",
        "flow: a\ninto: {entity: company, key: A, fields: {a: {fro: X}}}\n",
        "entity: company\nfields: {a: {type: txt}}\n",
        "systems: {a: {connector: file, foldr: x}}\n",
        "sytems: {}\n",
    ],
)
def test_what_the_language_refuses_it_refuses(text: str):
    assert faults(text.encode())


def test_every_key_says_what_it_means():
    silent = [
        f"{name}.{key}"
        for name, definition in SCHEMA["$defs"].items()
        for key, held in definition.get("properties", {}).items()
        if not held.get("description")
    ]
    assert silent == []


def test_every_reference_leads_somewhere():
    def references(here: Any) -> list[str]:
        if isinstance(here, dict):
            return [*here.get("$ref", "").split(), *(ref for inner in here.values() for ref in references(inner))]
        return [ref for inner in here for ref in references(inner)] if isinstance(here, list) else []

    assert {ref.removeprefix("#/$defs/") for ref in references(SCHEMA)} <= set(SCHEMA["$defs"])
