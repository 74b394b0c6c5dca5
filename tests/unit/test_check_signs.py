"""What stands between and around cells is one character, and each another: `check` tells, not the first file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_desk import FLOW, flow_told

FILES = '{files: "CLI_{company}_{day:%Y%m%d}.csv"}'
SIGN = 'expected one character of ASCII that ends no line, such as ";" or "\\t", not '


def told_of(root: Path, form: str) -> list[str]:
    return flow_told(root, FLOW.replace(FILES, f"{{files: a.csv, format: {form}}}"))


@pytest.mark.parametrize("kind", ["csv.delimiter", "csv.quote", "csv.escape", "fec.delimiter"])
@pytest.mark.parametrize("sign", [r"\n", r"\r", ";;", "", "é"])
def test_a_sign_is_one_character_of_ascii_that_ends_no_line(tmp_path: Path, kind: str, sign: str):
    form, key = kind.split(".")
    (said,) = told_of(tmp_path, f'{{{form}: {{{key}: "{sign}"}}}}')
    assert said.startswith("3:")
    assert f"read.format.{kind}: {SIGN}" in said


@pytest.mark.parametrize(("form", "said"), [
    ("{csv: {delimiter: '|', quote: '|'}}", "3:48: read.format.csv: delimiter and quote are the same character"),
    ("{csv: {escape: '|', delimiter: '|'}}", "3:61: read.format.csv: delimiter and escape are the same character"),
    ("{csv: {delimiter: '\"'}}", "3:48: read.format.csv: delimiter and quote are the same character"),
])
def test_the_signs_of_a_file_differ(tmp_path: Path, form: str, said: str):
    assert told_of(tmp_path, form) == [said]


@pytest.mark.parametrize("form", [
    '{csv: {delimiter: "\\t", quote: null, escape: "\\\\"}}', "{csv: {delimiter: ' ', quote: \"'\"}}",
    "{csv: {delimiter: ';', escape: '\"'}}", "{fec: {delimiter: '|'}}",
])
def test_signs_that_are_fine(tmp_path: Path, form: str):
    assert told_of(tmp_path, form) == []
