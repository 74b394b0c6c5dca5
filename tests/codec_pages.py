"""Small pages and entities for the tests of the codecs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mappings.codecs.into import Decoded, decode_into
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into

NOBODY: dict[str, Any] = {"masters": {}, "on_conflict": {}, "show": ()}


def page(columns: dict[str, list[str | None]], first: int = 1) -> pd.DataFrame:
    """A page as a source gives it: text columns, None where a row lacks the column, labelled by row number."""
    frame = pd.DataFrame({name: pd.array(cells, dtype="string[pyarrow]") for name, cells in columns.items()})
    frame.index = pd.RangeIndex(first, first + len(frame))
    return frame


def entity(fields: dict[str, dict[str, Any]]) -> Entity:
    specs = {name: FieldSpec.model_validate(spec) for name, spec in fields.items()}
    return Entity(name="thing", label="Thing", types=("customer", "supplier"), families=(), fields=specs, **NOBODY)


def into(fields: dict[str, Any], key: Any = "K", **more: Any) -> Into:
    return Into.model_validate({"entity": "thing", "key": key, "fields": fields, **more})


def decode(
    columns: dict[str, list[str | None]], fields: dict[str, Any], specs: dict[str, dict[str, Any]], **more: Any
) -> Decoded:
    """One page through decode_into; keys are numbers where the columns have no K."""
    rows = len(next(iter(columns.values())))
    frame = page({"K": [str(row) for row in range(1, rows + 1)], **columns})
    given = {"variables": {}, "codes": {}, **{k: more.pop(k) for k in ("variables", "codes", "decimal") if k in more}}
    return decode_into(frame, into(fields, **more), entity(specs), **given)


def read(cells: list[str | None], spec: dict[str, Any], decimal: Any = None, **mapping: Any) -> list[Any]:
    """One column through one field: the value of each row, or the code of its fault in capitals."""
    decoded = decode({"X": cells}, {"field": {"from": "X", **mapping}}, {"field": spec}, decimal=decimal)
    values: list[Any] = [None if value is pd.NA else value for value in decoded.values["field"].tolist()]
    for fault in decoded.faults.frame.itertuples():
        values[fault.row - 1] = str(fault.code).upper()
    return values
