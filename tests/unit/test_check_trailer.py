"""`check` of `records` and `trailer`: they name columns of the flow's rows, as far as the mapping tells those."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_desk import FLOW, flow_told

FILES = '{files: "CLI_{company}_{day:%Y%m%d}.csv"}'
LINES = "{files: a.txt, format: {csv: {header: false}}, records: {by: BY, use: H, columns: [kind, CODE, NOM]}, trailer: TRAILER}"
FIXED = "{files: a.txt, format: {fixed: {columns: {CODE: [2, 5], NOM: [7, 9]}}}, trailer: TRAILER}"
HEADS = "{files: a.txt, format: csv, trailer: TRAILER}"


def read_told(root: Path, read: str) -> list[str]:
    return flow_told(root, FLOW.replace(FILES, read))


@pytest.mark.parametrize(("by", "trailer", "said"), [
    ("1", "{by: 1, is: T, rows: 2, sum: {5: 3}}", "3:150: there is no column '5'; there is kind, CODE and NOM"),
    ("1", "{by: 1, is: T, sum: {NOM: 4}}", "3:143: there is no column 4; there are 3"),
    ("1", "{by: 1, is: T, rows: NON}", "3:138: there is no column 'NON'; did you mean 'NOM'?"),
    ("1", "{by: knd, is: T, rows: 2}", "3:122: there is no column 'knd'; did you mean 'kind'?"),
    ("4", "{by: 1, is: T, rows: 2}", "3:68: there is no column 4; there are 3"),
])
def test_what_no_row_has_is_told(tmp_path: Path, by: str, trailer: str, said: str):
    assert read_told(tmp_path, LINES.replace("BY", by).replace("TRAILER", trailer)) == [said]


@pytest.mark.parametrize(("read", "trailer"), [
    (LINES.replace("BY", "kind"), "{by: kind, is: T, rows: CODE, sum: {NOM: 3}}"),
    (FIXED, "{by: [1, 1], is: T, rows: [2, 6], sum: {NOM: [8, 17]}}"),
    (HEADS, "{by: LINE, is: T, rows: ANY, sum: {OTHER: 7}}"),
])
def test_what_rows_may_have_is_not(tmp_path: Path, read: str, trailer: str):
    assert read_told(tmp_path, read.replace("TRAILER", trailer)) == []
