"""Drop folders: what waits, what stands still, where it goes, what is missing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.file.folder import (
    content_digest,
    drop_file,
    is_stable,
    nearest_file,
    retire,
    unnamed_files,
    waiting_files,
)
from connectors.file.gaps import gaps, late
from mappings.errors import ConfigurationError, RetryLater, SourceUnreadable
from mappings.language.read import Read

DAILY = Read(files="CLI_{company}_{day:%Y%m%d}.csv")
NUMBERED = Read(files="lot_{number:d}*.txt")


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(name)


def test_files_wait_oldest_first_by_the_part_that_orders_them(tmp_path: Path):
    put(tmp_path, "CLI_b_20261123.csv", "CLI_a_20261124.csv", "CLI_a_20261122.csv", "other.csv", "CLI_a_20261399.csv")
    found = waiting_files(tmp_path, DAILY)
    assert [one.name for one in found] == ["CLI_a_20261122.csv", "CLI_b_20261123.csv", "CLI_a_20261124.csv"]
    assert found[0].parts == {"company": "a", "day": "2026-11-22"}
    assert found[0].mark == int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1_000_000
    put(tmp_path, "lot_9.txt", "lot_10.txt", "lot_2_bis.txt")
    assert [one.mark for one in waiting_files(tmp_path, NUMBERED)] == [2, 9, 10]


def test_a_day_or_month_may_lack_its_zero_where_something_stands_beside_it(tmp_path: Path):
    put(tmp_path, "a 1-15-2026.xlsx", "a 01-02-2026.xlsx", "a 111-2-2026.xlsx", "a 1-152026.xlsx")
    found = waiting_files(tmp_path, Read(files="a {day:%m-%d-%Y}.xlsx"))
    assert [one.parts["day"] for one in found] == ["2026-01-02", "2026-01-15"]
    put(tmp_path, "b_112026.csv", "b_01112026.csv", "b_1_1_26.csv")
    found = waiting_files(tmp_path, Read(files="b_{day:%d%m%Y}.csv"))
    assert [one.name for one in found] == ["b_01112026.csv"]


def test_a_twelve_hour_clock_puts_files_in_their_order(tmp_path: Path):
    put(tmp_path, "A 11-26-2026 1-00-00 PM.xlsx", "A 11-26-2026 9-05-12 AM.xlsx", "A 11-26-2026 12-30-00 PM.xlsx",
        "A 11-26-2026 12-30-00 AM.xlsx", "A 11-26-2026 11-59-59 pm.xlsx", "A 11-26-2026 13-00-00 PM.xlsx")
    found = waiting_files(tmp_path, Read(files="A {at:%m-%d-%Y %I-%M-%S %p}.xlsx"))
    assert [one.parts["at"][11:] for one in found] == ["00:30:00", "09:05:12", "12:30:00", "13:00:00", "23:59:59"]
    assert [one.mark for one in found] == sorted(one.mark or 0 for one in found)


@pytest.mark.parametrize("form", ["%Y%m%d %I", "%Y%m%d %H %p"])
def test_half_of_a_twelve_hour_clock_is_no_time(tmp_path: Path, form: str):
    with pytest.raises(ConfigurationError, match="12-hour clock are %I and need %p"):
        waiting_files(tmp_path, Read(files=f"A {{at:{form}}}.xlsx"))


def test_a_wrong_pattern_of_one_flow_hides_the_files_of_no_other(tmp_path: Path):
    put(tmp_path, "CLI_a_20261122.csv", "x.csv")
    assert unnamed_files(tmp_path, [Read(files="{"), DAILY]) == ["x.csv"]


def test_files_that_no_pattern_fits_are_told(tmp_path: Path):
    put(tmp_path, "CLI_a_20261122.csv", "CLI_a_22112026.csv", "lot_1.txt", "lot_x.txt", ".hidden", "new.csv.ok")
    (tmp_path / "done").mkdir()
    assert unnamed_files(tmp_path, [DAILY, NUMBERED], marker=".ok") == ["CLI_a_22112026.csv", "lot_x.txt"]
    assert unnamed_files(tmp_path / "nowhere", [DAILY]) == []


def test_files_without_an_order_wait_by_their_time(tmp_path: Path):
    put(tmp_path, "b.csv", "a.csv")
    os.utime(tmp_path / "a.csv", (2, 2))
    os.utime(tmp_path / "b.csv", (1, 1))
    found = waiting_files(tmp_path, Read(files="*.csv"))
    assert [(one.name, one.mark) for one in found] == [("b.csv", None), ("a.csv", None)]


def test_folders_hidden_files_markers_and_links_out_of_the_folder_do_not_wait(tmp_path: Path):
    drop, outside = tmp_path / "drop", tmp_path / "secret.csv"
    drop.mkdir()
    outside.write_text("secret")
    put(drop, "a.csv", ".hidden.csv", "b.ok")
    (drop / "folder.csv").mkdir()
    (drop / "link.csv").symlink_to(outside)
    (drop / "gone.csv").symlink_to(drop / "nothing")
    (drop / "inside.csv").symlink_to(drop / "a.csv")
    assert [one.name for one in waiting_files(drop, Read(files="*"), marker=".ok")] == ["a.csv", "inside.csv"]


def test_a_missing_folder_is_a_mistake_of_the_configuration(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        waiting_files(tmp_path / "nowhere", DAILY)


def test_a_file_stands_still_when_nothing_changed_for_long_enough(tmp_path: Path):
    put(tmp_path, "CLI_a_20261122.csv")
    (seen,) = waiting_files(tmp_path, DAILY)
    changed = os.stat(seen.path).st_ctime
    assert is_stable(seen, 2, now=changed + 3)
    assert not is_stable(seen, 2, now=changed + 1)
    assert not is_stable(seen, 2, ".ok", now=changed + 3)
    put(tmp_path, "CLI_a_20261122.csv.ok")
    assert is_stable(seen, 2, ".ok", now=changed + 3)
    seen.path.write_text("grown since it was seen")
    assert not is_stable(seen, 0, now=changed + 60)
    seen.path.unlink()
    assert not is_stable(seen, 0, now=changed + 60)


def test_an_old_date_given_to_a_fresh_copy_does_not_make_it_stand_still(tmp_path: Path):
    put(tmp_path, "CLI_a_20261122.csv")
    os.utime(tmp_path / "CLI_a_20261122.csv", (1, 1))
    (seen,) = waiting_files(tmp_path, DAILY)
    assert not is_stable(seen, 3600)


def test_a_read_file_moves_with_a_stamp_and_overwrites_nothing(tmp_path: Path):
    targets = set()
    for content in ("first", "second", "third"):
        (tmp_path / "a.csv").write_text(content)
        put(tmp_path, "a.csv.ok")
        targets.add(retire(drop_file(tmp_path / "a.csv", Read()), tmp_path, "done", marker=".ok"))
        assert not (tmp_path / "a.csv").exists()
        assert not (tmp_path / "a.csv.ok").exists()
    assert {target.read_text() for target in targets} == {"first", "second", "third"}
    assert all(target.parent == tmp_path / "done" and target.suffix == ".csv" for target in targets)


def test_a_read_file_is_known_by_the_name_that_it_had(tmp_path: Path):
    for name in ("CLI_a.b_20261122.csv", "CLI_a.20260101T000000Z_20261122.csv"):
        for _ in range(2):  # in one second: the second one's stamp is numbered
            put(tmp_path, name)
            seen = drop_file(tmp_path / name, DAILY)
            again = drop_file(retire(seen, tmp_path, "done"), DAILY, retired=True)
            assert seen.mark is not None
            assert (again.parts, again.mark) == (seen.parts, seen.mark)


def test_a_read_file_never_leaves_its_folder(tmp_path: Path):
    put(tmp_path, "a.csv")
    for into in ("..", ".", "../elsewhere", "/tmp"):
        with pytest.raises(ConfigurationError, match="cannot go to"):
            retire(drop_file(tmp_path / "a.csv", Read()), tmp_path, into)
    assert (tmp_path / "a.csv").exists()


def test_a_file_that_another_run_moved_is_tried_later(tmp_path: Path):
    with pytest.raises(RetryLater, match="gone"):
        retire(drop_file(tmp_path / "a.csv", Read()), tmp_path, "done")
    assert list((tmp_path / "done").iterdir()) == []


def test_equal_content_has_equal_digests(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    (tmp_path / "c").write_bytes(b"x" * 2_999_999)
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b") != content_digest(tmp_path / "c")
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        content_digest(tmp_path)


def days(*values: str, company: str = "a") -> list[dict[str, str]]:
    return [{"company": company, "day": value} for value in values]


def missing(seen: list[dict[str, str]], every: str) -> list[str]:
    return [gap.value for gap in gaps(seen, DAILY.model_copy(update={"every": every}))]


def test_holes_in_a_dated_series_are_found():
    assert missing(days("2026-11-20", "2026-11-23"), "day") == ["2026-11-21", "2026-11-22"]
    assert missing(days("2026-11-19", "2026-11-24"), "weekday") == ["2026-11-20", "2026-11-23"]
    assert missing(days("2026-11-05", "2026-11-18"), "week") == ["2026-11-09"]
    assert missing(days("2026-10-31", "2027-01-01"), "month") == ["2026-11", "2026-12"]
    assert missing(days("2026-11-20"), "day") == []
    assert missing([], "day") == []
    assert gaps(days("2026-11-20", "2026-11-23"), DAILY) == []


def test_holes_are_looked_for_in_each_series_of_its_own():
    read = DAILY.model_copy(update={"every": "day"})
    seen = days("2026-11-20", "2026-11-22") + days("2026-11-20", "2026-11-21", company="b")
    assert [(gap.others, gap.value) for gap in gaps(seen, read)] == [({"company": "a"}, "2026-11-21")]


def test_holes_in_a_numbered_series_are_found():
    assert [gap.value for gap in gaps([{"number": "9"}, {"number": "012"}, {"number": "11"}], NUMBERED)] == ["10"]


def both(*values: str) -> list[dict[str, str]]:
    """Parts of names with a day and a number: "05 10" for the fifth, number 10."""
    return [{"day": f"2026-01-{day}", "number": number} for day, number in map(str.split, values)]


@pytest.mark.parametrize("order", [None, "number"])
def test_a_number_that_runs_on_from_day_to_day_makes_a_series_beside_the_days(order: str | None):
    read = Read(files="a_{day:%Y%m%d}_{number:04d}.txt", order=order)
    seen = both("05 0010", "06 0011", "08 0013")
    assert [(gap.part, gap.value, gap.others) for gap in gaps(seen, read)] == [("number", "12", {})]
    daily = read.model_copy(update={"every": "day"})
    assert {(gap.part, gap.value) for gap in gaps(seen, daily)} == {("day", "2026-01-07"), ("number", "12")}
    due = daily.model_copy(update={"expected_by": "06:00", "order": None})
    assert [gap.value for gap in late(seen, due, at("2026-01-09T07:00"))] == ["2026-01-09"]


def test_a_number_that_comes_with_several_days_is_a_part_as_any_other():
    read = Read(files="a_{day:%Y%m%d}_{number:04d}.txt", every="day")
    anew = both("05 1", "05 3", "06 1", "07 1", "07 3")
    assert [(gap.value, gap.others) for gap in gaps(anew, read)] == [("2026-01-06", {"number": "3"})]
    assert gaps(both("05 1", "05 3"), read) == [], "of one day nobody knows what the number counts"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris"))


def test_a_file_is_late_once_its_time_has_passed():
    read = DAILY.model_copy(update={"expected_by": "06:00", "every": "weekday"})
    thursday = days("2026-11-19")
    assert late(thursday, read, at("2026-11-20T05:59")) == []
    assert [gap.value for gap in late(thursday, read, at("2026-11-20T06:00"))] == ["2026-11-20"]
    assert [gap.value for gap in late(thursday, read, at("2026-11-22T12:00"))] == ["2026-11-20"]
    assert late(days("2026-11-20"), read, at("2026-11-22T12:00")) == []
    assert [gap.value for gap in late([], read, at("2026-11-20T06:00"))] == ["2026-11-20"]
    assert late(thursday, DAILY, at("2026-11-30T12:00")) == []


def test_without_a_date_in_the_name_a_file_is_late_if_none_came_today():
    read = Read(files="clients.csv", expected_by="06:00")
    assert late([], read, at("2026-11-20T05:59")) == []
    assert [gap.value for gap in late([], read, at("2026-11-20T07:00"))] == ["2026-11-20"]
    assert late([], read, at("2026-11-20T07:00"), last_arrival=at("2026-11-20T04:00")) == []
    assert late([], read, at("2026-11-20T07:00"), last_arrival=at("2026-11-19T23:59")) != []


def test_a_file_that_was_moved_away_is_found_by_the_name_it_had(tmp_path: Path):
    for name in ("C_20261122.20261123T080000Z.csv", "C_20261122.20261127T181830Z.csv", "C_20261123.20261123T080000Z.csv"):
        (tmp_path / name).touch()
    assert nearest_file("C_20261122.csv", [tmp_path]) == tmp_path / "C_20261122.20261127T181830Z.csv"
    assert nearest_file("else", [tmp_path]) is None
