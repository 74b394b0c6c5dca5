"""The base of every model of the language: unknown keys are errors, models never change after they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import Strict as Exactly


class Strict(BaseModel):
    """A number written where text is meant is that text: `use: 1` is the record type "1"."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True, use_attribute_docstrings=True
    )
    expected: ClassVar[str] = ""  # how a message calls a value of this model; default: its keys


@dataclass(frozen=True)
class Expected:
    """How a message calls what a key takes, where the type alone says too little."""

    text: str


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else [value]


OneOrMore = BeforeValidator(_as_list)
"""`key: a` and `key: [a]` mean the same."""

Names = Annotated[tuple[str, ...], OneOrMore]
Column = Annotated[Annotated[int, Exactly()] | str, Expected("a column (its header, or its position from 1)")]
"""A source column: a header, `Header#2` (the second of equal headers), a position from 1, a path a.b.c, $variable."""
Columns = Annotated[tuple[Column, ...], OneOrMore]
