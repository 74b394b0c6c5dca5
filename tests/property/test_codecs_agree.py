"""The vectorised codecs and the libraries that judge value by value give the same answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import email_validator
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stdnum import iban
from stdnum.eu import vat
from stdnum.exceptions import ValidationError
from stdnum.fr import siren, siret
from stdnum.luhn import calc_check_digit

from mappings.codecs.cells import TEXT
from mappings.codecs.reading import Rule
from mappings.codecs.registry import CODECS
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap

FEW = settings(max_examples=100, deadline=None)
LISTS = {"min_size": 1, "max_size": 20}


def verdicts(cells, codec, region=None, decimal=None, **mapping):
    """What the codec makes of each cell: the value, or the code of its refusal in capitals."""
    field_map = FieldMap.model_validate({"from": "X", **mapping})
    trimmed = pa.array([cell.strip() or None for cell in cells], TEXT)
    reading = CODECS[codec].decode(trimmed, Rule(field_map, FieldSpec(), decimal, region))
    values = reading.values.to_pylist()
    for refusal in reading.refusals:
        for row in refusal.where.nonzero()[0]:
            assert values[row] is None
            values[row] = refusal.code.upper()
    return values


def answers(cells, codec, region=None):
    """The values alone; a refusal is None."""
    found = verdicts(cells, codec, region)
    return [None if isinstance(value, str) and value.startswith("NOT_") else value for value in found]


def library(judge, text):
    try:
        return judge(text)
    except ValidationError:
        return None


def spaced(digits, widths, gap):
    pieces, at = [], 0
    for width in widths:
        pieces.append(digits[at : at + width])
        at += width
    return gap.join([*pieces, digits[at:]]).strip(gap or None)


digits = st.text("0123456789", min_size=7, max_size=15)
gaps = st.sampled_from(["", " ", ".", "\u00a0", "\u202f", "  "])


@st.composite
def sirens(draw):
    head = draw(st.text("0123456789", min_size=8, max_size=8))
    number = head + (calc_check_digit(head) if draw(st.booleans()) else draw(st.sampled_from("0123456789")))
    return spaced(number, [3, 3], draw(gaps))


@st.composite
def sirets(draw):
    head = draw(st.one_of(st.just("356000000"), sirens().map(lambda s: re.sub(r"\D", "", s))))
    body = head + draw(st.text("0123456789", min_size=4, max_size=4))
    number = body + (calc_check_digit(body) if draw(st.booleans()) else draw(st.sampled_from("0123456789")))
    return spaced(number, [3, 3, 3], draw(gaps))


@FEW
@given(st.lists(st.one_of(sirens(), digits), **LISTS))
@example(["356000000", "732 829 320", "000000000"])
def test_siren(cells):
    def expected(text):
        number = library(siren.validate, text)
        if number is None and len(text) == 8:
            number = library(siren.validate, "0" + text)  # a spreadsheet ate the zero
        return number if number and number.strip("0") else None

    assert answers(cells, "siren") == [expected(text) for text in cells]


@FEW
@given(st.lists(st.one_of(sirets(), digits), **LISTS))
@example(["35600000000048", "35600000049837", "35600000049838", "73282932000074"])
def test_siret(cells):
    def expected(text):
        number = library(siret.validate, text)
        if number is None and len(text) == 13:
            number = library(siret.validate, "0" + text)
        return number if number and number[:9].strip("0") else None

    assert answers(cells, "siret") == [expected(text) for text in cells]


@st.composite
def vat_numbers(draw):
    number = re.sub(r"\D", "", draw(sirens()))
    if draw(st.integers(0, 9)) == 0:
        number = "000" + number[3:]  # Monaco
    right = f"{int(number + '12') % 97:02d}"
    key = draw(st.sampled_from([right, right, right, "00", "K7", "4Z", "AB"]))
    prefix = draw(st.sampled_from(["FR", "FR ", "fr", ""]))
    return prefix + key + draw(st.sampled_from(["", " "])) + number


OTHER_VAT = st.sampled_from(
    [
        "DE136695976",
        "BE697449992",
        "BE0697449992",
        "ESB58378431",
        "IT00743110157",
        "EL094259216",
        "LU15027442",
        "PL8567346215",
        "DE136695977",
        "XX123",
        "FR",
        "12",
        "ATU13585627",
        "NL4495445B01",
        "FR12000000000",
    ]
)


@FEW
@given(st.lists(st.one_of(vat_numbers(), OTHER_VAT), **LISTS))
def test_vat_numbers(cells):
    def expected(text):
        known = text[:2].upper() in {*(state.upper() for state in vat.MEMBER_STATES), "EL", "EU", "IM"}
        number = library(vat.validate, text if known else "FR" + text)
        return number if number and not re.fullmatch(r"FR..0{9}", number) else None

    assert answers(cells, "vat") == [expected(text) for text in cells]


@st.composite
def ibans(draw):
    account = draw(st.text("0123456789ABZ", min_size=11, max_size=11))
    bban = (
        draw(st.text("0123456789", min_size=10, max_size=10))
        + account
        + draw(st.text("0123456789", min_size=2, max_size=2))
    )
    check = iban.calc_check_digits("FR00" + bban) if draw(st.booleans()) else "76"
    number = "FR" + check + bban
    return draw(st.sampled_from([number, number.lower(), iban.format(number), number[:-1], number + "0"]))


OTHER_IBANS = st.sampled_from(
    ["GR16 0110 1050 0000 1054 7023 795", "BE31435411161155", "BE31435411161156", "XX00", "DE89370400440532013000"]
)


@FEW
@given(st.lists(st.one_of(ibans(), OTHER_IBANS), **LISTS))
def test_ibans(cells):
    assert answers(cells, "iban") == [library(iban.validate, text) for text in cells]


@st.composite
def french_phones(draw):
    national = draw(st.text("0123456789", min_size=8, max_size=10))
    gap = draw(st.sampled_from(["", " ", ".", "-", "\u00a0", "/"]))
    prefix = draw(
        st.sampled_from(["+33", "+33 ", "0033", "0033 ", "+33(0)", "+33 (0)", "+33 (0) ", "0", "", "33", "+330"])
    )
    return prefix + gap.join([national[0], *[national[at : at + 2] for at in range(1, len(national), 2)]])


def by_plan(text, region):
    """Parsed by the library, possible for its country, and of its plan's shape."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    national = phonenumbers.national_significant_number(number)
    place = phonenumbers.region_code_for_country_code(number.country_code)
    plans = phonenumbers.PhoneMetadata
    plan = (
        plans.metadata_for_nongeo_region(number.country_code, None)
        if place == "001"
        else plans.metadata_for_region(place, None)
    )
    shape = plan.general_desc.national_number_pattern
    if not phonenumbers.is_possible_number(number) or not re.fullmatch(shape, national):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@settings(max_examples=200, deadline=None)
@given(st.lists(french_phones(), **LISTS), st.sampled_from(["FR", "BE"]))
@example(
    ["0612345678", "+33612345678", "06 12 34 56 78", "+33 6 39 98 25 84", "06.39.98.65.46", "3949", "0000000000"], "FR"
)
def test_phones(cells, region):
    assert answers(cells, "phone", region) == [by_plan(text.replace("\u00a0", " "), region) for text in cells]


@given(
    st.lists(
        st.sampled_from(["+32 2 555 12 12", "+41446681800", "+1 650-253-0000", "0475123456", "+9991234", "12"]), **LISTS
    )
)
@FEW
def test_phones_of_other_countries(cells):
    assert answers(cells, "phone", "BE") == [by_plan(text, "BE") for text in cells]


words = st.text("abcXYZ09-_.+'é&", min_size=0, max_size=12)
addresses = st.one_of(
    st.builds(
        "{}@{}.{}".format, words, words, st.sampled_from(["fr", "FR", "example", "test", "co.uk", "local", "c0m", "x"])
    ),
    st.builds(
        "{}@{}.fr".format,
        st.sampled_from(["info", "Info", "SALES", "Jean.Dupont"]),
        st.text("abzAZ09-", min_size=1, max_size=8),
    ),
    st.text('ab@. "<>', max_size=10),
    st.builds(lambda n, m: f"{'a' * n}@{'b' * m}.fr", st.integers(50, 70), st.integers(50, 70)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(addresses.map(str.strip).filter(bool), **LISTS))
@example(
    ["Jean.DUPONT@Firme.FR", "INFO@FIRME.FR", "a@firme.example", "a@xn--e1afmkfd.fr", "a@b", "a@b.local", "é@b.fr"]
)
def test_emails(cells):
    def expected(text):
        try:
            return email_validator.validate_email(text, check_deliverability=False).normalized
        except email_validator.EmailNotValidError:
            return None

    assert answers(cells, "email") == [expected(text) for text in cells]


@FEW
@given(
    st.lists(
        st.one_of(
            st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda d: f"{d:%d/%m/}{d.year:04d}"),
            st.builds("{:02d}/{:02d}/{:04d}".format, st.integers(0, 33), st.integers(0, 13), st.integers(0, 9999)),
            st.text("0123456789/ ", min_size=1, max_size=10).map(str.strip).filter(bool),
        ),
        **LISTS,
    )
)
def test_dates_as_strptime_reads_them(cells):
    def expected(text):
        try:
            return datetime.strptime(text, "%d/%m/%Y").date()
        except ValueError:
            return None

    found = verdicts(cells, "date", format="%d/%m/%Y")
    assert [None if value == "NOT_DATE" else value for value in found] == [expected(text) for text in cells]


ENDS = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(1, 1, 2)), st.datetimes(datetime(9999, 12, 31)),
    st.datetimes(datetime(2026, 7, 1), datetime(2026, 7, 2)),
)


@FEW
@given(
    st.lists(st.builds("{}{}".format, ENDS, st.sampled_from(["", "", "Z", "+14:00", "+00:09:21", "-05:00"])), **LISTS),
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Pacific/Kiritimati"]),
)
def test_moments_at_the_ends_of_the_calendar_as_python_reads_them(cells, zone):
    def expected(text):
        moment = datetime.fromisoformat(text)
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
        except OverflowError:
            return "NOT_DATETIME"

    found = verdicts(cells, "datetime", timezone=zone)
    assert found == [expected(text) for text in cells] == [verdicts([text], "datetime", timezone=zone)[0] for text in cells]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.decimals(-(10**9), 10**9, places=2).map(str),
            st.decimals(-(10**9), 10**9, places=4).map(str),
            st.text("0123456789.-eE", min_size=1, max_size=8),
        ),
        **LISTS,
    )
)
@example(["0E0-", "5E1-", "5E-1-", "5E1--", "-5E1-", "5E-", "5-", ".5-"])  # a minus may stand behind any number
@example(["0.0001", ".0", "-.0", ".00", "0.", "00.", "-00.500", ".50"])  # one too exact: the others are looked at too
def test_decimals_as_python_reads_them(cells):
    def expected(text):
        number = "-" + text[:-1] if text.endswith("-") and not text.startswith("-") else text
        if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+|\d+(\.\d+)?[eE][+-]?\d{1,2})", number):
            return "NOT_DECIMAL"
        try:
            value = Decimal(number)
        except InvalidOperation:
            return "NOT_DECIMAL"
        if value and value.adjusted() >= 26:
            return "OUT_OF_RANGE"
        rounded = round(value, 2)
        return rounded if rounded == value else "TOO_MANY_DECIMALS"

    assert verdicts(cells, "decimal", decimal=".") == [expected(text) for text in cells]


ANYTHING = st.one_of(
    st.text(max_size=12),
    sirets(),
    french_phones(),
    addresses,
    st.sampled_from(
        [
            "2026-11-22",
            "2026-11-22 10:00:00",
            "2026-11-22T10:00:00Z",
            "22/11/2026",
            "31/02/2026",
            "1 234,56",
            "1.234,56",
            "12.0",
            "oui",
            "0",
            "EUR",
            "FR",
            "France",
            "75001",
            "https://example.org/a",
            "docs/a.pdf",
            "",
            " ",
        ]
    ),
)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=50, deadline=None)
@given(cells=st.lists(ANYTHING, **LISTS))
def test_what_a_cell_means_does_not_hang_on_its_neighbours(codec, cells):
    assert verdicts(cells, codec) == [verdicts([cell], codec)[0] for cell in cells]
