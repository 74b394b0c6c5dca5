"""A date format in the letters of another tool is told with the directives that were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.check.time_formats import time_format_problem, written_format_problem
from tests.check_desk import FLOW, flow_told


@pytest.mark.parametrize(("form", "meant"), [
    ("dd/mm/yyyy", "%d/%m/%Y"), ("yyyy-mm-dd", "%Y-%m-%d"), ("dd.mm.yyyy hh:mm:ss", "%d.%m.%Y %H:%M:%S"),
    ("YYYYMMDD", "%Y%m%d"), ("yyyy-MM-dd HH:mm", "%Y-%m-%d %H:%M"), ("jj/mm/aaaa", "%d/%m/%Y"), ("JJ/MM/AA", "%d/%m/%y"),
    ("yyyymmddhhmmss", "%Y%m%d%H%M%S"), ("DD/MM/YYYY HH:MM", "%d/%m/%Y %H:%M"),
    ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"), ("yyyy-MM-ddTHH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%f"),
    ("d/m/Y H:i", "%d/%m/%Y %H:%M"), ("d/M/yyyy", "%d/%m/%Y"), ("dd-MMM-yyyy", "%d-%b-%Y"), ("mm:ss dd/mm/yy", "%M:%S %d/%m/%y"),
])
def test_letters_of_other_tools_are_told_as_directives(form: str, meant: str):
    assert time_format_problem(form) == f"{form!r} is no date format: write strptime directives, as in {meant!r}"
    assert time_format_problem(meant) is None


def test_what_tells_no_letter_is_told_the_words_that_may_stand():
    assert time_format_problem("x") == (
        "'x' is no date format: write strptime directives, or one of iso, epoch, epoch_ms, excel")


def test_a_format_that_is_only_written_may_tell_a_part_of_the_date():
    assert written_format_problem("%m/%Y") is None
    assert written_format_problem("epoch") is None
    assert written_format_problem("mm/yyyy") == (
        "'mm/yyyy' is no date format: write strptime directives, as in '%m/%Y'")


def test_offsets_belong_to_times_and_names_of_zones_to_nothing():
    assert time_format_problem("%d/%m/%Y %H:%M %z") is None
    assert time_format_problem("%d/%m/%Y %H:%M %z", zoned=False) == (
        "'%d/%m/%Y %H:%M %z': a date has no offset: leave out the time, which is cut off where it stands behind a date")
    assert time_format_problem("%d/%m/%Y %H:%M %Z") == (
        "'%d/%m/%Y %H:%M %Z': what %Z stands for is not the same everywhere; read offsets, with %z")


def test_a_century_is_of_years_with_two_digits(tmp_path: Path):
    text = FLOW.replace("{name: NOM}", "{name: NOM, since: {from: A, format: '%d/%m/%Y', century: past}}")
    said = "since: century is of years with two digits, and no `format` has %y"
    assert [problem.partition(" ")[2] for problem in flow_told(tmp_path, text)] == [said]
