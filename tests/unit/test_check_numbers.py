"""Where a number is asked for, `check` takes one within its bounds, and neither true nor false."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic import Strict as Exactly

from connectors.registry import settings_models
from mappings.language.entity import EntityFile
from mappings.language.flow import Flow
from mappings.language.strict import NUMBER
from mappings.language.system import SystemsFile
from tests.check_desk import FLOW, flow_told, told

FILES = '{files: "CLI_{company}_{day:%Y%m%d}.csv"}'


def bare(shape: Any, marks: tuple[Any, ...], where: str, met: set[Any]) -> Iterator[str]:
    """Where below a shape a number stands that takes true for 1."""
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        if shape not in met:
            met.add(shape)
            for name, field in shape.model_fields.items():
                yield from bare(field.annotation, tuple(field.metadata), f"{shape.__name__}.{name}", met)
    elif get_origin(shape) is Annotated:
        yield from bare(get_args(shape)[0], get_args(shape)[1:], where, met)
    elif shape in (int, float) and NUMBER not in marks and not any(isinstance(mark, Exactly) for mark in marks):
        yield where
    elif bool not in get_args(shape):  # raw values, where true is one of them
        for inner in get_args(shape):
            yield from bare(inner, marks if get_origin(shape) is not tuple else (), where, met)


@pytest.mark.parametrize("model", [Flow, EntityFile, SystemsFile, *filter(None, settings_models().values())])
def test_no_number_of_the_language_takes_true_for_one(model: type[BaseModel]):
    assert list(bare(model, (), "", set())) == []


@pytest.mark.parametrize(("form", "said"), [
    ("{csv: {skip: -7}}", "read.format.csv.skip: expected a whole number, 0 or more, not -7"),
    ("{csv: {skip: true}}", "read.format.csv.skip: expected a whole number, not true"),
    ("{csv: {header: 0}}", "read.format.csv.header: expected true, false, the header's line (from 1) or a list of the names, not 0"),
    ("{csv: {header: -7}}", "read.format.csv.header: expected true, false, the header's line (from 1) or a list of the names, not -7"),
    ("{excel: {header: -3}}", "read.format.excel.header: expected the header's row (from 1), or false, not -3"),
    ("{excel: {header: 0}}", "read.format.excel.header: expected the header's row (from 1), or false, not 0"),
    ("{excel: {skip: -3}}", "read.format.excel.skip: expected a whole number, 0 or more, not -3"),
    ("{excel: {sheet: 0}}", "read.format.excel.sheet: expected a sheet's name, or its position from 1, not 0"),
    ("{excel: {sheet: true}}", "read.format.excel.sheet: expected a sheet's name, or its position from 1, not true"),
    ("{fixed: {skip: -1, columns: {CODE: [1, 2], NOM: [3, 4]}}}", "read.format.fixed.skip: expected a whole number, 0 or more, not -1"),
    ("{fixed: {columns: {CODE: [0, 4], NOM: [5, 9]}}}", "read.format.fixed.columns.CODE[1]: expected a whole number, 1 or more, not 0"),
    ("{fixed: {columns: {CODE: [1, true], NOM: [5, 9]}}}", "read.format.fixed.columns.CODE[2]: expected a whole number, not true"),
])
def test_a_format_counts_what_there_is(tmp_path: Path, form: str, said: str):
    text = FLOW.replace(FILES, f"{{files: a.txt, format: {form}}}")
    (line,) = flow_told(tmp_path, text)
    assert line.startswith("3:")
    assert line.partition(": ")[2] == said


@pytest.mark.parametrize("form", [
    "{csv: {header: 3, skip: 0}}", "{csv: {header: true}}", "{csv: {header: 'true', skip: '2'}}", "{excel: {header: 1, sheet: 2}}",
    "{excel: {header: true, sheet: '0'}}", "{csv: {header: [CODE, NOM]}}",
])
def test_a_format_that_counts_well_has_nothing_to_tell(tmp_path: Path, form: str):
    assert flow_told(tmp_path, FLOW.replace(FILES, f"{{files: a.txt, format: {form}}}")) == []


def test_no_is_no_header(tmp_path: Path):
    (said,) = flow_told(tmp_path, FLOW.replace(FILES, "{files: a.txt, format: {csv: {header: no}}}").replace("CODE", "1"))
    assert "the file has no header" in said


@pytest.mark.parametrize(("before", "after", "said"), [
    ("key: CODE", "key: 0", "into.company.key: expected a column, a list of columns, or {from: COLUMN, assigned: remote}, not 0"),
    ("NOM", "{from: -1}", "into.company.fields.name.from: expected a column (its header, or its position from 1), not -1"),
    ("name: NOM", "name: {from: NOM, max: true}", "into.company.fields.name.max: expected a whole number, not true"),
    ("name: NOM", "name: {from: NOM, max: 0}", "into.company.fields.name.max: expected a whole number, 1 or more, not 0"),
    ("name: NOM", "name: {from: NOM, split: /, part: true}",
     "into.company.fields.name.part: expected a whole number, not true"),
    ("name: NOM", "employees: {from: N, scale: -1}",
     "into.company.fields.employees.scale: expected a whole number, 0 or more, not -1"),
    ("into:", "guard: {rejects: true}\ninto:", "guard.rejects: expected a share such as 5% or 0.05, not true"),
    ("into:", "write: {batch: true}\ninto:", "write.batch: expected a whole number, not true"),
])
def test_a_flow_counts_what_there_is(tmp_path: Path, before: str, after: str, said: str):
    assert said in [line.partition(": ")[2] for line in flow_told(tmp_path, FLOW.replace(before, after, 1))]


@pytest.mark.parametrize(("keys", "said"), [
    ("limits: {parallel_writes: true}", "erp: limits.parallel_writes: expected a whole number, not true"),
    ("limits: {requests_per_second: inf}", "erp: limits.requests_per_second: expected a number, not 'inf'"),
])
def test_a_system_is_worked_as_hard_as_a_number_says(tmp_path: Path, keys: str, said: str):
    (line,) = told(tmp_path, {"systems.yaml": f"systems:\n  erp: {{connector: file, folder: drop, {keys}}}\n"})
    assert line.endswith(said)


def test_a_field_is_as_long_as_a_number_says(tmp_path: Path):
    (line,) = told(tmp_path, {"entities/company.yaml": "entity: company\nfields: {code: {max: true}}\n"})
    assert line == "entities/company.yaml:2:22: fields.code.max: expected a whole number, not true"
