"""Text: case, white space, markup and length."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow.compute as pc

from mappings.codecs.cells import Cells, Mask, contiguous, holds, judged, mask_of, matches, nulled, picked, placed
from mappings.codecs.reading import Reading, Refusal, Rule
from mappings.language.text import Text

# White space other than single plain spaces begins with one of these bytes, or is a double space.
_WIDE = (b"  ", b"\t", b"\n", b"\v", b"\f", b"\r", b"\xc2", b"\xe1", b"\xe2", b"\xe3")
_CASES = {"upper": pc.utf8_upper, "lower": pc.utf8_lower, "title": pc.utf8_title}


def decode_text(cells: Cells, rule: Rule) -> Reading:
    """The text with its letters as the mapping says."""
    return Reading(lettered(cells, rule.map))


def lettered(cells: Cells, text: Text) -> Cells:
    """Composed characters (NFC), then `collapse` and `case`."""
    values = composed(cells)
    if text.collapse and holds(values, *_WIDE):
        values = pc.replace_substring_regex(values, r"[\s\p{Z}]+", " ")
    if text.case:
        values = _CASES[text.case](values)
    return contiguous(values)


def encode_text(values: Any, rule: Rule) -> Cells:
    """The text as it is: what decoding folded together stays folded."""
    del rule
    return contiguous(values)


def composed(cells: Cells) -> Cells:
    """Unicode NFC, so that é typed as one character or as two is one value; most columns have nothing to do."""
    # Combining accents (U+0300 to U+036F) begin with these bytes.
    if not holds(cells, b"\xcc", b"\xcd"):
        return cells
    odd = matches(cells, r"[\x{0300}-\x{036f}]")
    return placed(cells, odd, pc.utf8_normalize(picked(cells, odd), "NFC"))


def fitted(values: Cells, rule: Rule) -> Reading:
    """Text within the longest length that the mapping and the entity allow: cut with `cut`, else refused."""
    limits = [limit for limit in (rule.map.max, rule.spec.max) if limit is not None]
    if not limits:
        return Reading(values)
    longest = min(limits)
    lengths = pc.utf8_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    long = lengths > longest
    if not long.any():
        return Reading(values)
    if rule.map.cut:
        return Reading(shortened(values, longest))
    refusals = tuple(
        Refusal(lengths == length, "too_long", {"length": int(length), "max": longest})
        for length in np.unique(lengths[long])
    )
    return Reading(nulled(values, long), refusals)


def shortened(values: Cells, longest: int) -> Cells:
    """The first characters of each text."""
    return contiguous(pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(values, 0, longest)))


def plain(cells: Cells) -> Cells:
    """HTML as plain text: entities resolved, tags gone, block ends and <br> as line breaks."""
    odd: Mask = mask_of(pc.match_substring_regex(cells, "[<&]"))
    return placed(cells, odd, judged(picked(cells, odd), _plain)) if odd.any() else cells


class _Words(HTMLParser):
    BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})
    HIDDEN = frozenset({"script", "style"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.hidden += tag in self.HIDDEN
        if tag == "br":
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN and self.hidden > 0
        if tag in self.BREAKS and tag != "br":
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)


def _plain(text: str) -> str:
    if "<" not in text:
        return unescape(text)
    reader = _Words()
    reader.feed(text)
    reader.close()
    lines = (line.strip() for line in "".join(reader.words).splitlines())
    return "\n".join(line for line in lines if line)
