"""Fingerprints of raw rows."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd

from mappings.codecs.fingerprint import fingerprints
from tests.codec_pages import page


def test_rows_with_different_cells_differ_and_the_same_cells_agree():
    rows = [
        ("a", "b"), ("ab", ""), ("", "ab"), ("a\x1fb", ""), ("", "a\x1fb"), ("a\x1bb", ""), ("a\x1b\x1fb", ""),
        (None, "b"),         ("", "b"), ("\x1b0", "b"), ("a", "b"), ("\x1b\x1b0", "b"), ("a\x1b1b", ""),
    ]  # fmt: skip
    frame = page({"A": [row[0] for row in rows], "B": [row[1] for row in rows]})
    found = fingerprints(frame, ["A", "B"], 0)
    assert found.dtype == np.int64
    assert found[0] == found[10]
    assert len(set(found.tolist())) == len(rows) - 1


def test_the_salt_and_the_columns_count():
    frame = page({"A": ["a"], "B": ["b"]})
    one = {
        int(fingerprints(frame, columns, salt)[0]) for columns in (["A"], ["A", "B"], ["B", "A"]) for salt in (0, 1, -1)
    }
    assert len(one) == 9
    assert len(fingerprints(frame, [], 7)) == 1
    assert len(fingerprints(frame.iloc[:0], ["A"], 7)) == 0


def test_a_fingerprint_does_not_hang_on_the_batch_that_the_row_came_in():
    frame = page({"A": ["a", "b\x1f", None, "é"], "B": ["1", "2", "3", "4"]})
    whole = fingerprints(frame, ["A", "B"], 5)
    parts = [fingerprints(frame.iloc[row : row + 1], ["A", "B"], 5)[0] for row in range(4)]
    assert whole.tolist() == parts


def test_fingerprints_are_the_same_in_every_process():
    code = (
        "import pandas as pd; from mappings.codecs.fingerprint import fingerprints;"
        "print(fingerprints(pd.DataFrame({'A': pd.array(['été'], 'string[pyarrow]')}), ['A'], -3)[0])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frame = pd.DataFrame({"A": pd.array(["été"], "string[pyarrow]")})
    assert int(other.stdout) == fingerprints(frame, ["A"], -3)[0]
