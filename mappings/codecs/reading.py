"""What a codec is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from mappings.codecs.cells import Cells, Mask
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap

Gives = Literal["text", "integer", "decimal", "date", "datetime", "boolean"]

PRECISION = 28
"""Digits of a decimal in all: what the store's numeric columns are given."""

PLAIN = FieldMap.model_validate({"from": "value"})
"""A mapping that asks for nothing special: how values that stand in the mapping itself are read."""


@dataclass(frozen=True)
class Rule:
    """What the mapping says of one field (`map`), what the entity says of it (`spec`), and the file's decimal sign."""

    map: FieldMap
    spec: FieldSpec
    decimal: Literal[".", ","] | None = None
    region: str | None = None  # the country of these cells (ISO code), where the mapping tells it

    @property
    def sign(self) -> Literal[".", ","] | None:
        """The decimal sign that holds; None: both are told apart."""
        return self.map.decimal or self.decimal


@dataclass(frozen=True)
class Refusal:
    """Cells that are refused for one reason; `code` is a key of mappings.messages.REASONS.

    `cells`: the texts to show, where they are not those that the codec was given.
    """

    where: Mask
    code: str
    params: dict[str, Any] = field(default_factory=dict)
    cells: Cells | None = None


@dataclass(frozen=True)
class Reading:
    """Typed values, one per cell (null where the cell was null or is refused), and the refusals."""

    values: Any
    refusals: tuple[Refusal, ...] = ()


def refuse(values: Any, where: Mask, code: str, **params: Any) -> Reading:
    """`values`, and a refusal where the mask is true."""
    return Reading(values, (Refusal(where, code, params),) if where.any() else ())


@dataclass(frozen=True)
class Codec:
    """The two directions of one kind of value.

    `decode` takes trimmed cells, none of them empty; `encode` takes what decode gives and writes it as the mapping
    says the system writes it. `takes` names the keys of a field's mapping that the codec listens to.
    """

    gives: Gives
    decode: Callable[[Cells, Rule], Reading]
    encode: Callable[[Any, Rule], Cells]
    takes: tuple[str, ...] = ()


ArrowType: TypeAlias = "pa.DataType"


def arrow_type(gives: Gives, scale: int = 2) -> ArrowType:
    """How values of a kind are held between decode and the store."""
    types = {
        "text": pa.large_string(), "integer": pa.int64(), "decimal": pa.decimal128(PRECISION, scale),
        "date": pa.date32(), "datetime": pa.timestamp("us", tz="UTC"), "boolean": pa.bool_(),
    }
    return types[gives]
