"""Cells that a spreadsheet would execute: marked in exports, and unmarked exactly when they come back."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.file.block import CELL
from connectors.file.neutral import neutralised, undo_neutral
from mappings.codecs.cells import POINT


def marked(text: str) -> str:
    return str(neutralised(pa.array([text], CELL))[0])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("+33 6 39 98 42 11", "'+33 6 39 98 42 11"), ("@SUM(A1)", "'@SUM(A1)"), ("\tx", "'\tx"),
        ("\rx", "'\rx"), ("-1+2", "'-1+2"), ("'=1", "''=1"), ("-12,50", "-12,50"), ("-1 234.50", "-1 234.50"), (f"-1{POINT}5", f"-1{POINT}5"),
        ("plain", "plain"), ("'plain", "'plain"), ("", ""), ("a=b", "a=b"), ("-", "'-"),
    ],
)
def test_what_is_executed_is_marked_and_nothing_else(text: str, shown: str):
    assert marked(text) == shown


@given(st.text(alphabet="'=+-@\t\r\n1,. aé＝", max_size=8))
def test_every_text_comes_back_unchanged_and_none_is_executed(text: str):
    shown = neutralised(pa.array([text], CELL))
    assert undo_neutral(shown)[0].as_py() == text
    risky = shown[0].as_py().startswith(("=", "+", "@", "\t", "\r"))
    assert not risky
