"""HTML entities in delimited text become characters before lines are split: the `;` of `&eacute;` is no delimiter.

An entity for a character that has a meaning in delimited text (`&quot;`, `&#10;`) must not get that meaning: until the
cells are apart, a character of Unicode's private area stands for it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.entities import html5

import pyarrow as pa
import pyarrow.compute as pc

_ENTITY = re.compile(rb"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LONGEST = 36
_STANDS_FOR = {chr(0xF700 + ord(sign)): sign for sign in '";,|\t\r\n\\#'}
_INSTEAD = {sign: private for private, sign in _STANDS_FOR.items()}
_MARKS = (b"\xef\x9c", b"\xef\x9d")  # how U+F700 to U+F77F begin in UTF-8


def without_entities(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of UTF-8, no entity cut in two."""
    carried = b""
    for block in blocks:
        text = carried + block
        begun = text.rfind(b"&", max(0, len(text) - _LONGEST))
        cut = begun if begun >= 0 and b";" not in text[begun:] else len(text)
        carried = text[cut:]
        yield _ENTITY.sub(lambda found: _character(found[0]), text[:cut])
    if carried:
        yield carried


@lru_cache(maxsize=4096)
def _character(entity: bytes) -> bytes:
    """The entity's character; the entity itself if it names none that can be stored."""
    name = entity[1:].decode("ascii")
    text = html.unescape(f"&{name}") if name.startswith("#") else html5.get(name, "")
    if not text or "\0" in text or "\ufffd" in text:
        return entity
    return "".join(_INSTEAD.get(sign, sign) for sign in text).encode("utf-8", "replace")


def stand_ins(text: bytes) -> bool:
    return any(mark in text for mark in _MARKS)


def restored(table: pa.Table) -> pa.Table:
    """The cells with the characters that the stand-ins are for."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        for private, sign in _STANDS_FOR.items():
            if pc.any(pc.match_substring(column, private)).as_py():
                column = pc.replace_substring(column, private, sign)
        table = table.set_column(place, name, column)
    return table


def restored_text(text: str) -> str:
    return text.translate({ord(private): sign for private, sign in _STANDS_FOR.items()})
