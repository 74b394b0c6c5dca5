"""Order marks: the version of a row, its time of change, or the file's; and no mark that does not order."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from mappings.language.read import Read
from pipelines.stages.marks import BEYOND, MarksSeen, marks_of

ROWS = pd.DataFrame({"rev": ["7", "8"], "xmin": ["900", "899"], "at": ["2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z"]},
                    dtype="string[pyarrow]")


def test_a_version_goes_before_a_stamp_and_a_stamp_before_the_file() -> None:
    assert marks_of(ROWS, Read(version="rev", stamp="at"), 3)[0].tolist() == [7_000_000, 8_000_000]
    stamped = marks_of(ROWS, Read(stamp="at"), 3)[0].tolist()
    assert stamped[1] - stamped[0] == 3_600_000_000
    assert marks_of(ROWS, Read(), 3)[0].tolist() == [3, 3]


def test_the_number_of_a_transaction_tells_no_order() -> None:
    """899 may have waited for 900, and be the newer."""
    read = Read(version="xmin")
    assert read.mark_columns == ()
    assert marks_of(ROWS, read, None)[0].isna().all()


def marks(*versions: str | None, **said: str) -> list[int | None]:
    frame = pd.DataFrame({"rev": list(versions)}, dtype="string[pyarrow]")
    found = marks_of(frame, Read(version="rev", **said), None)[0]
    return [None if pd.isna(mark) else mark for mark in found]


IN_ORDER = (
    "-3", "-2.5", "0", "0.5", "9", "9.5", "1e1", "10.000001", "20260105", "1764267890", "1764267890.123456", "1764267890123",
    "1764267890123.5", "20260105093000", "20260105093000.25", "1764267890123456", "999999999999999999",
    "1764267890123456789", "3999999999999999999",
)


def test_numbers_are_in_order_whether_whole_or_not_on_one_page_and_each_on_its_own() -> None:
    together = marks(*IN_ORDER)
    assert [mark for version in IN_ORDER for mark in marks(version)] == together
    assert all(one < other for one, other in pairwise(together))  # type: ignore[operator]
    assert marks(*IN_ORDER[4:12]) == together[4:12]


@pytest.mark.parametrize("version", ["0", "1", "42", "20260105", "1764267890", "20260105093000", "999999999999999999"])
def test_no_mark_is_below_the_whole_number_that_a_version_before_kept(version: str) -> None:
    [mark] = marks(version)
    assert mark is not None
    assert mark >= int(version)


def test_seconds_since_1970_are_in_order_with_times() -> None:
    assert marks("1764267890.123456") == marks("2025-11-27T18:24:50.123456Z")


def test_each_cell_is_read_by_itself() -> None:
    assert marks("9" * 2_000_000, "0." + "0" * 2_000_000 + "1", "1e-999") == [None, 0, 0]
    assert marks("7", "", None, "abc", " 8 ") == [7_000_000, None, None, None, 8_000_000]
    assert marks("9,5", "10") == [None, 10_000_000]
    assert marks("9,5", "10", format={"csv": {"decimal": ","}}) == [9_500_000, 10_000_000]  # type: ignore[arg-type]
    assert marks("9.\u20605") == [9_500_000]  # a number of a spreadsheet


@pytest.mark.parametrize(("versions", "told"), [
    (("18446744073709551615", "1e300"), 2), (("abc", ""), 1), (("18446744073709551615", "1"), None), (("9.5",), None),
])
def test_numbers_beyond_any_order_are_the_greatest_and_told_as_what_cannot_be_read(
    versions: tuple[str, ...], told: int | None,
) -> None:
    assert marks("4000000000000000000", "18446744073709551615", "1e300") == [BEYOND] * 3
    frame, seen = pd.DataFrame({"rev": list(versions)}, dtype="string[pyarrow]"), MarksSeen()
    read = Read(version="rev")
    seen.look(frame, marks_of(frame, read, None)[0], read)
    assert (seen.notice(read) or {}).get("written") == told


@pytest.mark.parametrize(("zone", "local"), [(None, "10:00"), ("Europe/Paris", "08:00")])
def test_times_of_several_offsets_and_of_none_are_in_one_order(zone: str | None, local: str) -> None:
    cells = ["2026-03-28T10:00:00+01:00", "2026-03-30T10:00:00+02:00", "2026-03-30 10:00:00 Z", "2026-03-30T10:00:00", "", "x"]
    frame = pd.DataFrame({"at": cells}, dtype="string[pyarrow]")
    stamps = marks_of(frame, Read(stamp="at", timezone=zone), None)[1]
    assert [None if pd.isna(stamp) else f"{pd.Timestamp(stamp, unit='us'):%d %H:%M}" for stamp in stamps] == [
        "28 09:00", "30 08:00", "30 10:00", f"30 {local}", None, None]
    single = [marks_of(frame.iloc[[row]], Read(stamp="at", timezone=zone), None)[1].iloc[0] for row in range(4)]
    assert single == stamps.tolist()[:4]


ENDS = ["9999-12-31 23:59:59-05:00", "0001-01-01 00:00:00+02:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "2026-01-05 08:00:00"]


@pytest.mark.parametrize(("said", "read"), [
    ({}, ENDS[2:]), ({"timezone": "Europe/Paris"}, [ENDS[2], ENDS[4]]), ({"timezone": "America/New_York"}, ENDS[3:]),
    ({"stamp_format": "%Y-%m-%d %H:%M:%S%z"}, []), ({"stamp_format": "%Y-%m-%d %H:%M:%S", "timezone": "America/New_York"}, ENDS[3:]),
])
def test_times_beyond_the_calendar_are_no_marks_as_what_cannot_be_read(said: dict[str, str], read: list[str]) -> None:
    frame = pd.DataFrame({"at": ENDS}, dtype="string[pyarrow]")
    pages = [frame, *(frame.iloc[[row]] for row in range(len(ENDS)))]
    for column in ({"stamp": "at"}, {"version": "at"}):
        whole, *single = [page["at"][marks_of(page, Read(**column, **said), None)[0].notna()].tolist() for page in pages]
        assert whole == [cell for found in single for cell in found] == read
