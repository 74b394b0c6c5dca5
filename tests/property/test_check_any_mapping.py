"""Whatever a mapping says, `check` answers with problems and never with a traceback."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mappings.check.project import check_project
from mappings.codecs.registry import CODECS
from mappings.language.entity import EntityFile, FieldSpec
from mappings.language.field import FieldMap
from mappings.language.flow import Flow
from mappings.language.project import dump
from mappings.language.read import Format
from mappings.language.shapes import aliases, members
from mappings.language.system import System
from mappings.language.text import Text

WORDS = [
    "company", "contact", "address", "sage", "cmms", "name", "siret", "type", "archived", "parent", "credit_limit",
    "email", "customer", "a", "b", "$company", "$day", "^no", "Header#2", "1", "*", "a{x", "{n:d}.txt", "(", "(.*)",
    "X_{company}_{day:%Y%m%d}.csv", "[a-z]+", "", " ", "%d/%m/%Y", "%q", "epoch", "DD/MM/YY", "0 6 * * *", "EUR", "h",
    "* * * * * *", "FR", "keep", "Europe/Paris", "Mars/X", "utf-8", "rot13", ";", ",", "A + B", "coalesce(", "@kinds",
    "@none", "5%", "150%", "06:00", "expect_column_values_to_be_between", "expect_table_row_count_to_be_between",
    "column", "min_value", "else", "crm", "shared", "newest", "review", "example", "other", "é", *CODECS,
]
FIELDS = ["name", "siret", "parent", "credit_limit", "email", "archived", "type", "opened_on", "blocked", "nmae"]
word = st.sampled_from(WORDS)
scalar = word | st.integers(-3, 300) | st.booleans() | st.none() | st.floats(0, 2)
anything = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(word, inner, max_size=2), max_leaves=4
)


BY_KEY = {
    "entity": ["company", "company", "contact", "address", "compny"], "system": ["sage", "cmms", "saeg"],
    "in": ["sage", "cmms"], "to": ["company", "contact"], "like": ["example", "other", "none"], "by": FIELDS,
}


def keyed(key: str, shape: Any, depth: int) -> st.SearchStrategy[Any]:
    return st.sampled_from(BY_KEY[key]) if key in BY_KEY else values(shape, depth)


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Mostly what the shape asks for, sometimes something else."""
    return st.integers(0, 99).flatmap(lambda dice: anything if dice == 99 else meant(shape, depth))


def meant(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    origin, inside = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return meant(inside[0], depth)
    if origin in (Union, types.UnionType):
        return st.one_of(*[meant(member, depth) for member in inside])
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is tuple:
        item = values(inside[0], depth + 1)
        if inside[-1] is not ...:
            return st.tuples(*[meant(one, depth) for one in inside]).map(list)
        return st.lists(item, min_size=1, max_size=3) | item
    if origin is dict:
        held = next((member for member in members(inside[1])), None)
        names = st.sampled_from(FIELDS) if held in (FieldMap, FieldSpec) or str(held).startswith("typing.Any") else word
        return st.dictionaries(names, values(inside[1], depth + 1), max_size=3)
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        keys = aliases(shape)
        if shape in (FieldMap, Text, Format):  # one of these, and only one
            choices = shape.sources if issubclass(shape, Text) else tuple(keys)
            rest = {key: keyed(key, keys[key], depth + 1) for key in keys if key not in choices} if depth < 5 else {}
            return st.sampled_from(choices).flatmap(
                lambda chosen: st.fixed_dictionaries({chosen: values(keys[chosen], depth + 1)}, optional=rest)
            )
        required = {name for name, info in shape.model_fields.items() if info.is_required()}
        must = {key: keyed(key, keys[key], depth + 1) for key in keys if key in required}
        may = {key: keyed(key, keys[key], depth + 1) for key in keys if key not in required}
        return st.fixed_dictionaries(must, optional=may if depth < 5 else {})
    plain: dict[Any, st.SearchStrategy[Any]] = {str: word, int: st.integers(-3, 300), bool: st.booleans(),
                                                float: st.floats(0, 2), type(None): st.none()}
    return plain.get(shape, anything)


flows = values(Flow).filter(lambda flow: isinstance(flow, dict))
entities = values(EntityFile).filter(lambda entity: isinstance(entity, dict))
SYSTEMS = {"sage": {"connector": "file", "folder": "sage"}, "cmms": {"connector": "file", "folder": "sage"}}


@given(flow=flows, other=flows, company=entities, system=values(System))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_check_never_ends_in_a_traceback(tmp_path_factory, flow, other, company, system):
    root: Path = tmp_path_factory.mktemp("any")
    files = {
        "systems.yaml": {"systems": {**SYSTEMS, "other": system}},
        "entities/company.yaml": {**company, "entity": "company"},
        "flows/example.yaml": {**flow, "flow": "example"},
        "flows/other.yaml": {**other, "flow": "other", "like": "example"},
    }
    for name, content in files.items():
        path = root / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump(content), "utf-8")
    (root / "mappings/codes").mkdir()
    (root / "mappings/codes/kinds.csv").write_text("raw,crm\n1,a\n", "utf-8")
    for problem in check_project(root, {}):
        assert problem.line >= 1
        assert problem.message
        str(problem).encode()
