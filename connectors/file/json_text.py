"""JSON text to Python values without loss: numbers that a float would round are kept exactly."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from connectors.page import Integers

# As many digits as a float or a 64-bit integer may not hold
_SURELY_64_BITS = 19
_LONG_NUMBER = re.compile(rb"[\d.]{16}")


def parsed(text: bytes, *, long: bool | None = None) -> Any:
    """The value; ValueError with what is wrong, and at which character.

    `long`: whether it may hold numbers of 16 digits or more (None: look).
    """
    try:
        if not (_LONG_NUMBER.search(text) if long is None else long):
            return orjson.loads(text)
        return json.loads(text, parse_float=Decimal, parse_int=_whole, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _whole(digits: str) -> int | Decimal:
    """Beyond 64 bits a Decimal: what writes JSON writes no such int, and Python reads none of thousands of digits."""
    return int(digits) if len(digits) < _SURELY_64_BITS else Decimal(digits)


def long_numbers(text: bytes) -> Integers:
    """Where sixteen digits or points stand in a row."""
    array = np.frombuffer(text, dtype=np.uint8)
    runs = ((array >= 48) & (array <= 57)) | (array == 46)
    for step in (1, 2, 4, 8):
        runs = runs[:-step] & runs[step:] if len(runs) > step else runs[:0]
    return np.flatnonzero(runs).astype(np.int64)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
