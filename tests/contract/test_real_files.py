"""Files that real systems wrote, with nothing pinned: every cell as the csv module reads it, in every detail."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from connectors.file.open import open_source
from connectors.page import Source
from mappings.language.read import Read
from tests.real_exports.raw_exports import DIALECTS, EXPORTS, cells

pytestmark = pytest.mark.skipif(not EXPORTS.is_dir(), reason=f"NOT TESTED: the real exports are not at {EXPORTS}")

FOUND = {"latin-1": "cp1252", "utf-8": "utf-8", "utf-8-sig": "utf-8", "cp1252": "cp1252", "utf-16": "utf-16-le"}
PLACES = {"account": [2, 8], "side": [42, 1], "cents": [43, 13]}


def opened(name: str, day: str = "day1", **read: Any) -> Source:
    path = EXPORTS / day / name
    if not path.exists():
        pytest.skip(f"{name} is not among the files of {day}")
    return open_source(path, Read.model_validate(read))


def rows(source: Source) -> list[list[str]]:
    return [list(row) for page in source.pages() for row in page.frame.itertuples(index=False)]


def refused(source: Source) -> list[str]:
    return [raw for page in source.pages() for raw in page.damaged["raw"]]


@pytest.mark.parametrize("day", ["day1", "day2"])
@pytest.mark.parametrize("name", DIALECTS)
def test_every_cell_is_read_without_any_hint(name: str, day: str):
    source = opened(name, day)
    expected = cells(name, day)
    encoding, delimiter = DIALECTS[name]
    width = len(source.columns)
    assert source.detected["encoding"] == FOUND[encoding]
    assert source.detected["delimiter"] == delimiter
    assert rows(source) == [row + [""] * (width - len(row)) for row in expected[1:] if row]
    assert refused(source) == []
    lines = np.concatenate([page.lines for page in source.pages()])
    assert (np.diff(lines) > 0).all()


def test_headers_that_occur_twice_and_lines_that_end_with_a_delimiter():
    source = opened("dolibarr_contacts_iso_semicolon.csv")
    assert [name for name in source.columns if name.endswith("#2")] == [
        "État#2", "Adresse#2", "Code postal#2", "Ville#2", "Téléphone#2", "Email#2", "Note (privée)#2",
        "Note (publique)#2",
    ]
    assert source.columns[-1] == str(len(source.columns))


@pytest.mark.parametrize(
    ("name", "width", "read"),
    [
        ("dolibarr_ledger_EBP.csv", 9, {"format": {"csv": {"header": False}}}),
        ("dolibarr_ledger_CEGID_Expert_comptabilite.csv", 8, {"format": {"csv": {"header": False}}}),
        ("dolibarr_ledger_FEC.txt", 21, {}),
        (
            "dolibarr_ledger_LD_Compta_v10_et_superieure.csv", 37,
            {"format": {"csv": {"header": False, "quote": None}}, "records": {"by": 1, "use": "E"}},
        ),
        (
            "dolibarr_ledger_Quadratus_QuadraCompta.csv", 3,
            {"format": {"fixed": {}}, "records": {"by": [1, 1], "use": "M", "columns": PLACES}},
        ),
    ],
)
def test_the_same_ledger_has_the_same_lines_and_sums_in_five_formats(name: str, width: int, read: dict[str, Any]):
    source = opened(name, **read)
    lines = rows(source)
    assert len(source.columns) == width
    assert len(lines) in (1634, 1635)
    assert refused(source) == []
    if "FEC" in name:
        debit, credit = sum(_cents(row[11]) for row in lines), sum(_cents(row[12]) for row in lines)
    else:
        side, amount = {9: (7, 6), 8: (4, 5), 37: (10, 9), 3: (1, 2)}[width]
        cents = [int(row[amount]) if width == 3 else _cents(row[amount]) for row in lines]
        debit = sum(value for row, value in zip(lines, cents, strict=True) if row[side] == "D")
        credit = sum(value for row, value in zip(lines, cents, strict=True) if row[side] == "C")
    assert debit == credit != 0


def _cents(text: str) -> int:
    """One of the formats writes 654393.9300000001."""
    return round(Decimal(text.replace(" ", "").replace(",", ".")) * 100)


@pytest.mark.parametrize("name", ["dolibarr_companies.xlsx", "horilla_employees.xlsx"])
def test_workbooks_are_read_row_by_row(name: str):
    source = opened(name)
    expected = cells(name, "day1")
    found = rows(source)
    assert len(found) == len(expected) - 1
    assert list(source.columns[:3]) == expected[0][:3]
    assert [row[0] for row in found] == [row[0] for row in expected[1:]]


def test_continuation_lines_of_a_sale_carry_its_number():
    source = opened(
        "tryton_sales.csv", continues={"blank": ["ID"], "fill": ["ID", "Numéro", "Tiers/Code"], "number": "line"}
    )
    found = rows(source)
    assert all(row[0] for row in found)
    heads = [row for row in found if row[-1] == "0"]
    assert len(heads) == len({row[0] for row in found}) < len(found)
