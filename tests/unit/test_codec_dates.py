"""Dates and moments in the forms that real systems write."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from mappings.codecs.date_formats import template
from mappings.codecs.encode import encode_field
from mappings.codecs.reading import arrow_type
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from tests.codec_pages import read

DATE, MOMENT = {"type": "date"}, {"type": "datetime"}
DAY = date(2026, 11, 22)


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize("written", [
    "2026-11-22", "20261122", "2026-11-22 01:44:12", "2026-11-22T01:44:12", "2026-11-22 01:44:12.951276",
    "2026-11-22T23:59:59+02:00", "2026-11-22T01:44:12Z", "2026-11-22 1:44", "2026-11-22\u00a001:44:12",
])  # fmt: skip
def test_iso_dates_with_or_without_a_time_need_no_format(written):
    assert read([written, "2024-02-29"], DATE) == [DAY, date(2024, 2, 29)]


@pytest.mark.parametrize("written", ["22/11/2026", "02012026", "2026-02-30", "2026-13-01", "0000-00-00", "2026-11-22x",
                                     "2026-11-22 25:00:00", "26-11-22", "20261122 ab", "tomorrow"])  # fmt: skip
def test_what_is_no_iso_date(written):
    assert read([written], DATE) == ["NOT_DATE"]


def test_formats_are_tried_in_order_and_strictly():
    cells = [
        "22/11/2026",
        "22.11.2026",
        "1/2/2026",
        "31/02/2026",
        "22112026",
        "22.11.2026\u00a001:44:12",
        "1/2/2026 10:00",
    ]
    assert read(cells, DATE, format=["%d/%m/%Y", "%d.%m.%Y"]) == [
        DAY,
        DAY,
        date(2026, 2, 1),
        "NOT_DATE",
        "NOT_DATE",
        DAY,
        date(2026, 2, 1),
    ]
    assert read(["02012026", "280226"], DATE, format=["%d%m%Y", "%d%m%y"]) == [date(2026, 1, 2), date(2026, 2, 28)]


def test_two_digits_of_a_year_are_1969_to_2068():
    assert read(["010169", "010168"], DATE, format="%d%m%y") == [date(1969, 1, 1), date(2068, 1, 1)]


def test_a_gap_in_a_date_format_is_that_gap_only():
    assert read(["22 11 2026", "22.11.2026"], DATE, format="%d %m %Y") == [DAY, "NOT_DATE"]


def test_formats_without_a_fixed_width_are_left_to_python():
    assert template("%d %b %Y") is None
    assert read(["22 Nov 2026", "1 Jan 2026"], DATE, format="%d %b %Y") == [DAY, date(2026, 1, 1)]


def test_counted_days_and_seconds():
    assert read(["46348", "46348.5", "2958465", "x"], DATE, format="excel") == [DAY, DAY, date(9999, 12, 31), "NOT_DATE"]
    assert read(["1795311852"], MOMENT, format="epoch") == [at(2026, 11, 22, 1, 44, 12)]
    assert read(["1795311852951", "1E+99999999"], MOMENT, format="epoch_ms") == [
        at(2026, 11, 22, 1, 44, 12, 951000),
        "NOT_DATETIME",
    ]


def test_the_days_of_spreadsheets_are_those_that_excel_shows():
    """60 is the 29 February that 1900 did not have, and 0 no day."""
    days = {"1": date(1900, 1, 1), "59": date(1900, 2, 28), "61": date(1900, 3, 1), "62": date(1900, 3, 2)}
    assert read([*days, "59.75", "61.25"], DATE, format="excel") == [*days.values(), days["59"], days["61"]]
    assert read(["1.25", "59.5", "61.5"], MOMENT, format="excel") == [at(1900, 1, 1, 6), at(1900, 2, 28, 12), at(1900, 3, 1, 12)]
    assert read(["60", "60.5", "0", "0.5", "-1", "2958466", "NaN"], DATE, format="excel") == ["NOT_DATE"] * 7
    assert written(list(days.values()), "date", DATE, format="excel") == list(days)
    assert written([date(1899, 12, 31), DAY], "date", DATE, format="excel") == [None, "46348"]
    assert written([at(1900, 2, 28, 12), at(1900, 3, 1, 6)], "datetime", MOMENT, format="excel") == ["59.5", "61.25"]


def test_moments_without_an_offset_are_of_the_fields_time_zone():
    cells = [
        "2026-07-01 12:00",
        "2026-01-01T12:00:00",
        "2026-07-01",
        "2026-07-01T12:00:00+05:00",
        "2026-07-01T12:00:00.5Z",
    ]
    assert read(cells, MOMENT, timezone="Europe/Paris") == [
        at(2026, 7, 1, 10),
        at(2026, 1, 1, 11),
        at(2026, 6, 30, 22),
        at(2026, 7, 1, 7),
        at(2026, 7, 1, 12, 0, 0, 500000),
    ]
    assert read(cells[:1], MOMENT) == [at(2026, 7, 1, 12)]


def test_hours_that_clocks_show_twice_or_never():
    cells = ["2026-10-25 02:30:00", "2026-03-29 02:30:00"]
    assert read(cells, MOMENT, timezone="Europe/Paris") == [at(2026, 10, 25, 0, 30), at(2026, 3, 29, 1, 0)]


def test_moments_in_a_format():
    cells = ["22.11.2026\u00a001:44:12", "22.11.2026 25:00:00", "2026-11-22 01:44:12"]
    assert read(cells, MOMENT, format="%d.%m.%Y %H:%M:%S", timezone="Europe/Paris") == [
        at(2026, 11, 22, 0, 44, 12),
        "NOT_DATETIME",
        "NOT_DATETIME",
    ]
    assert read(
        ["22/11/2026 01:44 +0200", "22/11/2026 01:44"], MOMENT, format=["%d/%m/%Y %H:%M %z", "%d/%m/%Y %H:%M"]
    ) == [at(2026, 11, 21, 23, 44), at(2026, 11, 22, 1, 44)]


@pytest.mark.parametrize("written", ["2026-02-30 10:00", "22/11/2026", "10:00", "2026-11-22 10:00:00+99:00", "x"])
def test_what_is_no_moment(written):
    assert read([written, "2026-11-22 10:00:00", "2026-11-22T10:00:00Z"], MOMENT) == [
        "NOT_DATETIME",
        at(2026, 11, 22, 10),
        at(2026, 11, 22, 10),
    ]


def test_a_moment_for_a_date_field_is_the_day_in_its_time_zone():
    assert read(["2026-07-01T23:00:00Z"], DATE, as_="datetime", timezone="Europe/Paris") == [date(2026, 7, 2)]
    assert read(["2026-07-01"], MOMENT, as_="date", timezone="Europe/Paris") == [at(2026, 6, 30, 22)]


def test_a_time_zone_that_there_is_not_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="not a time zone"):
        read(["2026-07-01 12:00"], MOMENT, timezone="Paris")


def test_the_formats_of_a_list_may_tell_the_offset_or_not_and_be_iso():
    cells = ["29/03/2026 10:00:00 +0200", "29/03/2026 10:00", "2026-03-29T10:00:00+02:00", "2026-03-29 10:00", "1774771200", "x"]
    forms = ["%d/%m/%Y %H:%M:%S %z", "%d/%m/%Y %H:%M", "iso", "epoch"]
    assert read(cells, MOMENT, format=forms, timezone="Europe/Paris") == [at(2026, 3, 29, 8)] * 5 + ["NOT_DATETIME"]
    assert read(["22/11/2026", "20261122", "2026-11-22 10:00"], DATE, format=["%d/%m/%Y", "iso"]) == [DAY] * 3


def test_two_digits_of_a_year_may_always_be_past():
    cells = ["12/12/60", "29/02/68", "12/12/69", "01/01/01", "1/2/60", "12/12/60 10:00"]
    said = [date(1960, 12, 12), date(1968, 2, 29), date(1969, 12, 12), date(2001, 1, 1), date(1960, 2, 1), date(1960, 12, 12)]
    assert read(cells, DATE, format="%d/%m/%y", century="past") == said
    assert read(["12/12/2060"], DATE, format=["%d/%m/%y", "%d/%m/%Y"], century="past") == [date(2060, 12, 12)]
    assert read(["12/12/60 10:00 +0200"], MOMENT, format="%d/%m/%y %H:%M %z", century="past") == [at(1960, 12, 12, 8)]


LAST = at(9999, 12, 31, 22, 59, 59)


@pytest.mark.parametrize(("written", "mapping"), [
    ("0001-01-01 00:00:00", {"timezone": "Europe/Paris"}), ("0001-01-01", {"timezone": "Europe/Paris"}),
    ("0001-01-01 00:00:00+02:00", {}), ("9999-12-31 23:59:59-05:00", {}), ("9999-12-31T23:59:59.5-05:00:00", {}),
    ("9999-12-31 23:59:59", {"timezone": "America/New_York"}), ("0000-01-01 00:00:00", {}),
    ("01/01/0001 00:00", {"format": "%d/%m/%Y %H:%M", "timezone": "Europe/Paris"}),
    ("1 Jan 0001 00:00", {"format": "%d %b %Y %H:%M", "timezone": "Europe/Paris"}),
    ("31/12/9999 23:59 -0500", {"format": "%d/%m/%Y %H:%M %z"}), ("01/01/0001 00:00 +0200", {"format": "%d/%m/%Y %H:%M %z"}),
    ("253402300800", {"format": "epoch"}), ("-62135596801", {"format": "epoch"}), ("2958466", {"format": "excel"}),
])
def test_a_moment_that_is_in_no_year_from_1_to_9999_in_utc_is_none(written, mapping):
    assert read([written], MOMENT, **mapping) == ["NOT_DATETIME"]
    usual = {"%d/%m/%Y %H:%M": "22/11/2026 10:00", "%d %b %Y %H:%M": "22 Nov 2026 10:00", "epoch": "1795311852",
             "%d/%m/%Y %H:%M %z": "22/11/2026 10:00 +0000", "excel": "46348"}  # fmt: skip
    beside = read([usual.get(mapping.get("format"), "2026-11-22 10:00"), written], MOMENT, **mapping)
    assert isinstance(beside[0], datetime)
    assert beside[1] == "NOT_DATETIME"


def test_the_last_moments_of_the_calendar_are_moments_where_utc_has_them():
    assert read(["9999-12-31 23:59:59", "9999-12-31 23:59:59-05:00"], MOMENT, timezone="Europe/Paris") == [LAST, "NOT_DATETIME"]
    assert read(["0001-01-01", "0001-01-01 00:00:00Z"], MOMENT) == [at(1, 1, 1)] * 2
    assert read(["9999-12-31", "9999-12-31 23:59:59-05:00", "0001-01-01"], DATE) == [date(9999, 12, 31)] * 2 + [date(1, 1, 1)]


def test_a_day_that_the_calendar_of_the_time_zone_does_not_have_is_none():
    assert read(["9999-12-31T23:30:00Z", "2026-11-22T10:00:00Z"], DATE, as_="datetime", timezone="Europe/Paris") == ["NOT_DATETIME", DAY]
    assert read(["0001-01-01", "2026-11-22"], MOMENT, as_="date", timezone="Asia/Tokyo") == ["NOT_DATE", at(2026, 11, 21, 15)]


def test_a_midnight_that_clocks_show_twice_is_the_earlier_one():
    assert read(["2026-11-01"], MOMENT, as_="date", timezone="America/Havana") == [at(2026, 11, 1, 4)]


def written(values, gives, spec, **mapping):
    field_map, held = FieldMap.model_validate({"from": "X", **mapping}), pa.array(values, arrow_type(gives))
    return encode_field("f", field_map, FieldSpec.model_validate(spec), {"f": held}, codes={})[0]["X"].to_pylist()


@pytest.mark.parametrize("form", [None, "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%f%z"])
def test_a_moment_that_the_clocks_of_the_time_zone_do_not_show_cannot_be_written(form):
    mapping = {"timezone": "Europe/Paris"} if form is None else {"timezone": "Europe/Paris", "format": form}
    cells = written([at(2026, 11, 22, 10), LAST, at(9999, 12, 31, 23)], "datetime", MOMENT, **mapping)
    assert cells[2] is None
    assert [cell[:19] for cell in cells[:2] if cell] == [f"2026-11-22{cells[0][10]}11:00:00", f"9999-12-31{cells[0][10]}23:59:59"]


def test_nor_can_its_day():
    assert written([LAST, at(9999, 12, 31, 23)], "datetime", MOMENT, as_="date", timezone="Europe/Paris") == ["9999-12-31", None]
