"""Which bytes are which letters: found from the bytes themselves, or pinned, and always read as a stream of UTF-8.

Bytes that are not of the encoding come through as bytes that are not UTF-8, so that one later check finds them all,
line by line. The byte order mark never comes through.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from connectors.file.neutral import MARK, OWN_PREFIX
from mappings.errors import ConfigurationError, SourceUnreadable

SAMPLE = 1 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ONE_BYTE = re.compile(r"ascii|cp(125\d|85\d|86\d|437|720|737|775|874)|iso8859-\d+|mac-\w+|koi8-\w|hp-roman8|tis-620")
# UTF-8 beyond ASCII, and bytes beyond ASCII that are no part of it
_MULTI = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
# Letters of French (and its neighbours) where they are plausible: in a word; ÿ only as in L'Haÿ-les-Roses
_CP1252 = re.compile(
    rb"(?<=[A-Za-z' (\-/])[\xe0\xe2\xe4\xe7-\xef\xf1\xf4\xf6\xf9\xfb\xfc\x9c](?=[A-Za-z ,.;:)\-'/\t|\"\r\n])"
    rb"|[\xc0\xc2\xc7-\xcb\xce\xcf\xd4\xd9\xdb\xdc\x8c](?=[A-Za-z \-])|[aouAOU]\xff"
    rb"|[\xb0\xb2\xab\xbb\x92\xa0\xb5\xd8]|\x80(?![A-Za-z])"
)
_CP850 = re.compile(
    rb"(?<=[A-Za-z' (\-/])[\x81-\x8a\x97](?=[A-Za-z ,.;:)\-'/\t|\"\r\n])"
    rb"|(?<=[A-Za-z])[\x8b\x8c\x93\x94\x96\xa4](?=[A-Za-z])|[\x90\xb7\xd4\xd2\x80](?=[A-Za-z])|[0-9nN]\xf8"
)
_LATIN9 = re.compile(rb"(?<=[A-Za-z])\xbd(?=[A-Za-z])|(?<=[0-9 ])\xa4")


def canonical(name: str, where: str) -> str:
    """The codec's own name; ConfigurationError if there is none."""
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, UnicodeError, ValueError) as error:
        raise ConfigurationError(
            f"unknown encoding {name!r}", where=where,
            todo="use utf-8, cp1252, iso-8859-1, iso-8859-15, cp850 or utf-16",
        ) from error
    return {"utf-8-sig": "utf-8", "utf_8_sig": "utf-8"}.get(info.name, info.name)


def one_byte(encoding: str) -> bool:
    """Whether each character of the encoding is one byte."""
    return _ONE_BYTE.fullmatch(encoding) is not None


def mark_of(head: bytes) -> tuple[str | None, int]:
    """Encoding and length of the byte order mark that the file begins with."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    return None, 0


def settle(path: Path, pinned: str | None) -> tuple[str, int]:
    """Encoding of a file and length of its byte order mark: the pinned one, unless the mark says that it cannot be."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
        marked, length = mark_of(head)
        if pinned is None:
            return marked or _judge(head, file), length
        name = canonical(pinned, str(path))
        wide = marked is not None and marked.startswith(("utf-16", "utf-32"))
        if name in ("utf-16", "utf-32"):  # the mark says which; without one, as on Windows
            return (marked if wide and marked else f"{name}-le"), length if wide else 0
        own = any(sign.encode() in head.partition(b"\n")[0] for sign in (OWN_PREFIX, MARK))
        if own and (marked == "utf-8" or (marked is None and one_byte(name) and _is_utf8(head))):
            return "utf-8", length  # our own export, as a spreadsheet saves it
        if marked is not None and marked != name:
            raise SourceUnreadable(
                f"the file begins with the mark of {marked}, but encoding: {pinned} is pinned",
                where=str(path), todo="remove `encoding` from the mapping, or check the export",
            )
        if marked is None and one_byte(name) and _is_utf8(head):
            raise SourceUnreadable(
                f"every letter of the file beyond ASCII is UTF-8, but encoding: {pinned} is pinned", where=str(path),
                todo="remove `encoding` from the mapping, or have the file written as before",
            )
        return name, length


def _is_utf8(head: bytes) -> bool:
    """Whether there are letters beyond ASCII, and all of them are UTF-8: read byte by byte they were "Ã©" and the like,
    which nobody writes. The sample may end within one."""
    rest = _MULTI.sub(b"", head)
    return _MULTI.search(head) is not None and not _HIGH.search(rest[:-3] if len(head) == SAMPLE else rest)


def _judge(head: bytes, file: BinaryIO) -> str:
    if (wide := _wide(head)) is not None:
        return wide
    sample = head
    # A long ASCII beginning tells nothing: look for the first bytes that do
    while sample.isascii():
        last, sample = sample[-4:], file.read(SAMPLE)
        if not sample:
            return "utf-8"
        if not sample.isascii():
            sample = last + sample + file.read(SAMPLE)
    return _letters(sample)


def _letters(sample: bytes) -> str:
    """The encoding that makes letters of the bytes beyond ASCII."""
    multi = len(_MULTI.findall(sample))
    rest = len(_HIGH.findall(_MULTI.sub(b"", sample)))
    western, dos = len(_CP1252.findall(sample)), len(_CP850.findall(sample))
    if multi >= max(rest, 1) or not (western or dos):
        return "utf-8"  # lines that are neither will be shown as damaged
    if dos > western:
        return "cp850"
    if _LATIN9.search(sample) and not re.search(rb"[\x80-\x9f]", sample):
        return "iso8859-15"
    return "cp1252"


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    part = head[: 4096 & ~1]
    even, odd = part[0::2].count(0), part[1::2].count(0)
    if len(part) >= 4 and max(even, odd) * 10 >= len(part) * 4 and min(even, odd) * 50 <= len(part):
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def text_blocks(path: Path, encoding: str, skip: int, size: int) -> Iterator[bytes]:
    """The file after its mark, as UTF-8, in blocks that come from `size` bytes of it each."""
    with path.open("rb", buffering=0) as file:
        file.seek(skip)
        if encoding == "utf-8":
            while chunk := file.read(size):
                yield chunk
        elif one_byte(encoding):
            while chunk := file.read(size):
                yield chunk if chunk.isascii() else _again(chunk.decode(encoding, "surrogateescape"))
        else:
            yield from _by_decoder(file, encoding, size)


def _by_decoder(file: BinaryIO, encoding: str, size: int) -> Iterator[bytes]:
    wide = encoding.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if wide else "surrogateescape")
    while chunk := file.read(size):
        try:
            yield _again(decoder.decode(chunk))
        except UnicodeError as error:
            raise SourceUnreadable(
                f"the bytes are not {encoding}: {error}", where=str(file.name), todo="pin the right `encoding`"
            ) from error
    try:
        yield _again(decoder.decode(b"", final=True))
    except UnicodeError:
        yield b"\xff"  # the file ends in the middle of a character


def _again(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_ESCAPED = re.compile(r"\\xed\\x([ab][0-9a-f])\\x([89ab][0-9a-f])")


def readable(raw: bytes) -> str:
    """A line as text for people: bytes that are none are written as \\xNN, NUL too (no database stores it)."""
    text = raw.decode("utf-8", "backslashreplace")
    if "\\xed" in text:
        text = _ESCAPED.sub(lambda m: _surrogate(int(m[1], 16), int(m[2], 16)), text)
    return text.replace("\0", "\\x00")


def _surrogate(second: int, third: int) -> str:
    code = 0xD000 | (second & 0x3F) << 6 | third & 0x3F
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
