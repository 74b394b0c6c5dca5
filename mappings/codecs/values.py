"""Code tables: `values: {"0": transfer, …}` or `values: "@payment_modes"`, and what a code outside them means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, Mask, contiguous, nulled, present
from mappings.codecs.conditions import as_text
from mappings.codecs.literals import literals
from mappings.codecs.reading import Refusal, Rule
from mappings.errors import ConfigurationError
from mappings.language.field import FieldMap

Codes = Mapping[str, Mapping[str, str]]
_SHOWN = 20


def table_of(field_map: FieldMap, codes: Codes) -> Mapping[str, Any] | None:
    """Raw text to CRM value; raises ConfigurationError for a table that the project does not have."""
    values = field_map.values
    if values is None:
        return None
    if not isinstance(values, str):
        return {as_text(code): value for code, value in values.items()}
    name = values.removeprefix("@")
    if name not in codes:
        raise ConfigurationError(
            f"there is no code table {name!r}", todo=f"Write mappings/codes/{name}.csv, or correct `values`."
        )
    return codes[name]


class Lookup:
    """One pass of cells through a table.

    values: what the table says; unknown: where it says nothing; rest: the unknown codes, where they are to be decoded
    themselves (`else: raw`); kept: where nothing is said of the field (`else: keep`).
    """

    def __init__(self, cells: Cells, rule: Rule, table: Mapping[str, Any], name: str) -> None:
        # A blank code stands for blank cells: the table may say what they mean.
        asked = cells.fill_null("") if "" in table else cells
        found = pc.index_in(asked, value_set=pa.array(list(table), TEXT))
        self.values = contiguous(literals(list(table.values()), rule.spec, name).take(found))
        self.unknown: Mask = present(cells) & ~present(found)
        self.kept: Mask | None = None
        self.rest: Cells | None = None
        self.refusals: tuple[Refusal, ...] = ()
        otherwise = rule.map.else_ or "reject"
        if otherwise == "raw":
            self.rest = nulled(cells, ~self.unknown)
        elif otherwise == "keep":
            self.kept = self.unknown
        elif otherwise == "reject" and self.unknown.any():
            codes = ", ".join([code for code in table if code][:_SHOWN])
            shown = rule.map.values if isinstance(rule.map.values, str) else codes
            self.refusals = (Refusal(self.unknown, "unknown_code", {"table": shown}),)
