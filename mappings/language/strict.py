"""The base of every model of the language: unknown keys are errors, models never change after they are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else [value]


OneOrMore = BeforeValidator(_as_list)
"""`key: a` and `key: [a]` mean the same."""

Names = Annotated[tuple[str, ...], OneOrMore]
Column = int | str
"""A source column: a header, `Header#2` (the second of equal headers), a position from 1, a path a.b.c, or $variable."""
Columns = Annotated[tuple[Column, ...], OneOrMore]
