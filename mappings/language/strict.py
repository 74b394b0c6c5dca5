"""The base of every model of the language: unknown keys are errors, models never change after they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic import Strict as Exactly
from pydantic_core import CoreSchema, PydanticKnownError, core_schema


class Strict(BaseModel):
    """A number written where text is meant is that text: `use: 1` is the record type "1"."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True
    )
    expected: ClassVar[str] = ""  # how a message calls a value of this model; default: its keys


@dataclass(frozen=True)
class Expected:
    """How a message calls what a key takes, where the type alone says too little."""

    text: str


@dataclass(frozen=True, eq=False)
class ShortForm:
    """A shorter way to write a value: `convert` makes the long form of it, `shown` is its JSON Schema."""

    convert: Callable[[Any], Any]
    shown: tuple[dict[str, Any], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.convert, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        long = handler(schema)
        return {"anyOf": [*(self.shown or (long["items"],)), long]}


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else [value]


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def _no_whole(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise PydanticKnownError("string_type")
    return value


NUMBER = BeforeValidator(_no_boolean)
"""Every int and float of the language has it, behind its bounds: python takes true for 1, an integrator does not."""
OTHER = BeforeValidator(_no_whole)
"""What stands beside a number in a union has it: else a number out of bounds is taken for the text "0", or false."""

Whole = Annotated[int, NUMBER]
Count = Annotated[int, Field(ge=0), NUMBER]
Position = Annotated[int, Field(ge=1), NUMBER]  # what counts from 1
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NUMBER]
Place = Annotated[tuple[Position, Position], Expected("[start, width], both from 1")]  # in a line of fixed width

DURATION = r"^\d+(\.\d+)?(ms|s|m|h|d)$"
Duration = Annotated[str, Field(pattern=DURATION), Expected("a time such as 2s, 500ms, 5m or 30d")]
Interval = Annotated[str, Field(pattern=r"^(\d*[1-9]\d*(\.\d+)?|0+\.\d*[1-9]\d*)(ms|s|m|h|d)$"),
                     Expected("a time such as 2s or 500ms, more than none")]

TEXT: dict[str, Any] = {"type": ["string", "number"]}
OneOrMore = ShortForm(_as_list)
"""`key: a` and `key: [a]` mean the same."""

Names = Annotated[tuple[str, ...], OneOrMore]
Column = Annotated[Annotated[str, AfterValidator(partial(normalize, "NFC")), OTHER]
                   | Annotated[int, Exactly(), Field(ge=1)],
                   Expected("a column (its header, or its position from 1)")]
"""A source column: a header, `Header#2` (the second of equal headers), a position from 1, a path a.b.c, $variable.
Composed (NFC), as headers are when they are read."""
Columns = Annotated[tuple[Column, ...], OneOrMore]
