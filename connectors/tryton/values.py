"""From text cells to Tryton's typed values."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson


class BadCell(ValueError):
    """The text is no value of the column's type; says what it is not."""


def wire_value(kind: str, text: str) -> Any:
    """`kind`: the field's type in Tryton's words. '' is null, and false where the field is a boolean."""
    if text == "":
        return False if kind == "boolean" else None
    make = KINDS.get(kind)
    if make is None:
        return text
    try:
        return make(text)
    except (ValueError, InvalidOperation, OverflowError, binascii.Error) as error:
        told = str(error) if isinstance(error, BadCell) else f"{text[:60]!r} is no {kind}"
        raise BadCell(told) from None


def datetime_value(stamp: dt.datetime) -> dict[str, Any]:
    """A moment; without an offset it is UTC, as in Tryton."""
    if stamp.tzinfo is not None:
        stamp = stamp.astimezone(dt.UTC)
    return {"__class__": "datetime", **_day(stamp), **_clock(stamp)}


def _day(day: dt.date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _clock(clock: dt.time | dt.datetime) -> dict[str, int]:
    return {"hour": clock.hour, "minute": clock.minute, "second": clock.second, "microsecond": clock.microsecond}


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise BadCell(f"{text[:60]!r} is neither true nor false")
    return text == "true"


def _digits(text: str) -> str:
    """Python reads 1_000 as a number; nobody else does."""
    if "_" in text:
        raise BadCell(f"{text[:60]!r} is no number")
    return text


def _integer(text: str) -> int:
    value = int(_digits(text))
    if not -(2**63) <= value < 2**63:
        raise BadCell(f"{text[:60]!r} is too large")
    return value


def _float(text: str) -> float:
    value = float(_digits(text))
    if value in (float("inf"), float("-inf")) or value != value:  # noqa: PLR0124 -- NaN is the one that differs from itself
        raise BadCell(f"{text[:60]!r} is no number that Tryton can hold")
    return value


def _decimal(text: str) -> dict[str, Any]:
    value = Decimal(_digits(text))
    if not value.is_finite():
        raise BadCell(f"{text[:60]!r} is no number that Tryton can hold")
    whole, point, part = format(value, "f").partition(".")
    part = part.rstrip("0")  # Tryton counts them among the digits that a field may have
    return {"__class__": "Decimal", "decimal": f"{whole}{point}{part}" if part else whole}


def _time(text: str) -> dict[str, Any]:
    value = dt.time.fromisoformat(text)
    if value.tzinfo is not None:
        raise BadCell(f"{text[:60]!r} has an offset, which a time of day has not in Tryton")
    return {"__class__": "time", **_clock(value)}


def _date(text: str) -> dict[str, Any]:
    return {"__class__": "date", **_day(dt.date.fromisoformat(text))}


def _timedelta(text: str) -> dict[str, Any]:
    return {"__class__": "timedelta", "seconds": _float(text)}


def _bytes(text: str) -> dict[str, Any]:
    base64.b64decode(text, validate=True)
    return {"__class__": "bytes", "base64": text}


def _reference(text: str) -> str:
    model, comma, number = text.partition(",")
    if not (comma and model and number.lstrip("-").isdecimal()):
        raise BadCell(f"{text[:60]!r} is no reference: model,id")
    return text


def id_list(text: str) -> list[int]:
    """The ids of a set of links, a JSON list; each a number, or a text of digits as keys are."""
    told = orjson.loads(text) if text else []
    if not isinstance(told, list) or not all(type(one) is int or (type(one) is str and is_id(one)) for one in told):
        raise BadCell(f"{text[:60]!r} is no JSON list of ids")
    return list(dict.fromkeys(map(int, told)))


def is_id(text: str) -> bool:
    """Whether the text is the number of a record."""
    return text.isascii() and text.isdigit() and len(text) <= 18


KINDS: dict[str, Callable[[str], Any]] = {
    "integer": _integer, "bigint": _integer, "many2one": _integer, "one2one": _integer,
    "float": _float, "numeric": _decimal, "boolean": _boolean,
    "date": _date, "time": _time, "timedelta": _timedelta,
    "datetime": lambda text: datetime_value(dt.datetime.fromisoformat(text)),
    "timestamp": lambda text: datetime_value(dt.datetime.fromisoformat(text)),
    "binary": _bytes, "reference": _reference, "dict": orjson.loads, "multiselection": orjson.loads,
    "one2many": id_list, "many2many": id_list,
}
"""Types that are not sent as the text that they are."""
