"""Dates and moments: ISO by default, any strptime form by `format`, and the numbers some systems write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    TEXT,
    Cells,
    contiguous,
    judged,
    mask_of,
    matches,
    nulled,
    picked,
    placed,
    plain_spaces,
    present,
)
from mappings.codecs.date_formats import parse_fixed, parse_rest
from mappings.codecs.reading import Reading, Rule, refuse
from mappings.errors import ConfigurationError

ISO = "iso"
"""The word that stands in a list of formats for what is read without one."""
ISO_DATES = ("%Y-%m-%d", "%Y%m%d")
_TIMES = (" %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M", " %H:%M:%S.%f")  # what most often stands behind a date
_TIME = r"[T ]\s*(?:[01]?\d|2[0-3])[:hH][0-5]\d(?:[:mM][0-5]\d(?:[.,]\d+)?)?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?$"
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2}(?::\d{2})?)?)$"  # seconds: the zones of before 1911
_YEAR = re.compile(r"(?<!%)((?:%%)*)%Y")
_UTC, _LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
_EVERYWHERE = (-62_135_510_400_000_000, 253_402_214_400_000_000)  # years 1 to 9999 in any zone: less a day at each end
_PLAIN_FORMS = {"date": "YYYY-MM-DD", "datetime": "YYYY-MM-DD HH:MM:SS"}
_ZONED = "zoned"
_EPOCH = Decimal(0)
_SPREADSHEET_EPOCH = Decimal(-25569 * 86400)  # day 0 of spreadsheets after their day that never was, in seconds
_EXCEL, _NEVER = "excel", 60  # the number of 29 February 1900 in spreadsheets: what is before it is counted one too few
_COUNTED = {  # numbers instead of dates: the moment of 0, and seconds per unit
    "epoch": (_EPOCH, Decimal(1)),
    "epoch_ms": (_EPOCH, Decimal("0.001")),
    _EXCEL: (_SPREADSHEET_EPOCH, Decimal(86400)),
}


def decode_date(cells: Cells, rule: Rule) -> Reading:
    """date32. A time behind the date is cut off as it stands: the day is the one that is written."""
    forms = [part for form in rule.map.format or (ISO,) for part in (ISO_DATES if form == ISO else (form,))]
    moments = _read(plain_spaces(cells), tuple(forms), dated=True, latest=_latest(rule))
    return refuse_lost(moments.cast(pa.date32(), safe=False), cells, "date", rule)


def refuse_lost(values: Any, given: Any, what: Literal["date", "datetime"], rule: Rule) -> Reading:
    """`values`, and a refusal where something was given, read as a date or a moment, and nothing came of it."""
    form = " or ".join(rule.map.format) if rule.map.format else _PLAIN_FORMS[what]
    return refuse(values, present(given) & ~present(values), f"not_{what}", format=form)


def encode_date(values: Any, rule: Rule) -> Cells:
    """In the first of the mapping's formats."""
    form = (rule.map.format or (ISO,))[0]
    if form in _COUNTED:
        return _counted(values.cast(_LOCAL), form)
    return contiguous(pc.strftime(values, ISO_DATES[0] if form == ISO else form))


def decode_datetime(cells: Cells, rule: Rule) -> Reading:
    """timestamp[us, UTC]. A moment without offset is of the field's `timezone` (default UTC).

    An hour that the clocks show twice in autumn is the earlier one; one they skip in spring is moved on.
    """
    text = plain_spaces(cells)
    zone = zone_of(rule)
    moments = in_calendar(
        _iso(text, zone) if rule.map.format is None else _in_forms(text, rule, rule.map.format, zone))
    return refuse_lost(moments, cells, "datetime", rule)


def encode_datetime(values: Any, rule: Rule) -> Cells:
    """In the first of the mapping's formats, else ISO with the offset; in the field's `timezone`. Null where its
    calendar does not reach."""
    form = (rule.map.format or (ISO,))[0]
    if form in _COUNTED:
        return _counted(values.cast(_LOCAL), form)
    local = in_calendar(in_calendar(values).cast(pa.timestamp("us", tz=zone_of(rule))))
    if "%f" in form or form == ISO:
        return judged_moments(local, _written(form, precise=form == ISO))
    # Arrow writes the fraction of the array's own unit into %S.
    return contiguous(pc.strftime(pc.floor_temporal(local, unit="second").cast(pa.timestamp("s", zone_of(rule))), form))


def judged_moments(values: Any, write: Callable[[datetime], str]) -> Cells:
    """Moments as text, one by one: the forms that Arrow cannot write."""
    return pa.array([None if value is None else write(value) for value in values.to_pylist()], TEXT)


def _written(form: str, *, precise: bool) -> Callable[[datetime], str]:
    if precise:
        return datetime.isoformat
    # The C library does not fill up years before 1000 with zeros, and would not read them back.
    return lambda moment: moment.strftime(_YEAR.sub(rf"\g<1>{moment.year:04d}", form))


def zone_of(rule: Rule) -> str:
    """The IANA name of the field's time zone; raises ConfigurationError where there is none of that name."""
    name = rule.map.timezone or "UTC"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"{name!r} is not a time zone", todo="Use an IANA name such as Europe/Paris."
        ) from error
    return name


def _latest(rule: Rule) -> datetime | None:
    """The moment after which no year of two digits lies, where the mapping says so."""
    return datetime.now(UTC).replace(tzinfo=None) if rule.map.century == "past" else None


def _in_forms(cells: Cells, rule: Rule, forms: Sequence[str], zone: str) -> Any:
    """timestamp[us, UTC] of the cells in the first of the forms that fits, which may tell the zone or not."""
    found = pa.nulls(len(cells), _UTC)
    for kind, alike in groupby(forms, _kind):
        open_ = present(cells) & ~present(found)
        chosen = picked(cells, open_)
        moments = _iso(chosen, zone) if kind == ISO else in_utc(
            _read(chosen, tuple(alike), latest=_latest(rule)), "UTC" if kind == _ZONED else zone)
        found = placed(found, open_, moments)
    return found


def _kind(form: str) -> str:
    return ISO if form == ISO else _ZONED if form in _COUNTED or "%z" in form.replace("%%", "") else ""


def _read(cells: Cells, forms: tuple[str, ...], *, dated: bool = False, latest: datetime | None = None) -> Any:
    """timestamp[us] of the cells in one of the forms; `dated` also accepts a time behind a date. `latest`: see
    `parse_fixed`."""
    written = tuple(form for form in forms if form not in _COUNTED)
    timed = [form + time for form in written for time in _TIMES] if dated else []
    found = parse_rest(parse_fixed(cells, [*written, *timed], latest), cells, written, latest)
    for form in forms:
        open_ = present(cells) & ~present(found)
        if not open_.any():
            return found
        if form in _COUNTED:
            found = placed(found, open_, judged(picked(cells, open_), _counter(form), _LOCAL))
        elif dated:
            found = placed(found, open_, _without_time(picked(cells, open_), form, latest))
    return found


def _without_time(cells: Cells, form: str, latest: datetime | None) -> Any:
    timed = matches(cells, _TIME)
    bare = contiguous(pc.replace_substring_regex(nulled(cells, ~timed), _TIME, ""))
    return parse_rest(parse_fixed(bare, [form], latest), bare, [form], latest)


def _iso(cells: Cells, zone: str) -> Any:
    zoned = matches(cells, r":\d{2}(?:[.,]\d+)?\s*" + _ZONE)
    local = nulled(cells, zoned)
    try:
        naive = in_utc(local.cast(_LOCAL), zone)
    except pa.ArrowInvalid:
        naive = in_utc(judged(local, _naive_iso, _LOCAL), zone)
    if not zoned.any():
        return naive
    chosen = picked(cells, zoned)
    try:
        return placed(naive, zoned, chosen.cast(_UTC))
    except pa.ArrowInvalid:
        return placed(naive, zoned, judged(chosen, _zoned_iso, _UTC))


def in_utc(moments: Any, zone: str) -> Any:
    """timestamp[us, UTC] of what the clocks of a zone show; may be beyond the calendar (see `in_calendar`)."""
    if zone == "UTC":
        return moments.cast(_UTC) if moments.type == _UTC else pc.assume_timezone(moments, "UTC")
    return contiguous(pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest").cast(_UTC))


def in_calendar(moments: Any) -> Any:
    """timestamp[us], of a zone or none: null where the clocks there show no year from 1 to 9999. Neither Python nor
    what reads the store knows any other, and local time may be beyond where UTC is not, and the other way round."""
    ends = pc.min_max(moments.cast(pa.int64())).as_py()
    if ends["min"] is None or (ends["min"] >= _EVERYWHERE[0] and ends["max"] < _EVERYWHERE[1]):
        return moments
    years = pc.year(moments)
    return nulled(moments, mask_of(pc.or_(pc.less(years, 1), pc.greater(years, 9999))))


def _naive_iso(text: str) -> datetime | None:
    moment = _from_iso(text)
    return moment if moment is not None and moment.tzinfo is None else None


def _zoned_iso(text: str) -> datetime | None:
    moment = _from_iso(text)
    try:
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except OverflowError:  # the first day of year 1, east of Greenwich
        return None


def _from_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _counter(form: str) -> Callable[[str], int | None]:
    zero, unit = _COUNTED[form]

    def read(text: str) -> int | None:
        try:
            count = Decimal(text.replace(",", "."))
            if form == _EXCEL and count < _NEVER + 1:
                if not 1 <= count < _NEVER:
                    return None
                count += 1
            seconds = zero + count * unit
            # Years 1 to 9999, as everywhere else.
            return int(seconds * 1_000_000) if -62_135_596_800 <= seconds < 253_402_300_800 else None
        except ArithmeticError:
            return None

    return read


def _counted(moments: Any, form: str) -> Cells:
    zero, unit = _COUNTED[form]

    def write(micros: int) -> str | None:
        count = (Decimal(micros) / 1_000_000 - zero) / unit
        if form == _EXCEL and count < _NEVER + 1:
            if count < 2:  # before 1900
                return None
            count -= 1
        return format(count.normalize(), "f")

    return pa.array([None if m is None else write(m) for m in moments.cast(pa.int64()).to_pylist()], TEXT)
