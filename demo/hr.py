"""HR's Excel sheet of employees, with what spreadsheets do to data.

Two sheets, of which the second counts; a title above the headers in merged cells; postal codes and phone numbers partly
stored as numbers; days partly as serial numbers,
partly as text; a formula column; thousands of formatted empty rows below.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from demo import identifiers, names
from demo.manifest import CREATED, SUPERSEDED, Row, rejected
from demo.world import plain

EMPLOYEES = 120
EMPTY_ROWS = 5_000
HEADERS = (
    "Matricule", "Nom", "Prénom", "Fonction", "Date d'entrée", "Date de sortie", "Téléphone", "E-mail",
    "Code postal", "Ville",
    "Heures/semaine", "Heures/an", "Remarque",
)
HEADER_ROW = 3
WEEKS = 45


@dataclass(frozen=True)
class Formula:
    """A formula and the result that the spreadsheet program stored with it."""

    text: str
    result: float | str


Cell = str | int | float | date | Formula | None


def employee_rows(random: Random) -> list[Row[tuple[Cell, ...]]]:
    rows: list[Row[tuple[Cell, ...]]] = []
    for number in range(1, EMPLOYEES + 1):
        cells = _employee(random, number)
        fate, fault = CREATED, ""
        if number in {20, 80}:
            cells["Nom"], fate, fault = None, rejected("required"), "last name missing"
        elif number in {30, 90}:
            cells["E-mail"], fate, fault = "pas de mail", rejected("not_email"), "a sentence for an e-mail"
        elif number == 40:
            cells["Date d'entrée"], fate, fault = "été 2019", rejected("not_date"), "a season for a day"
            cells["Remarque"] = "=HYPERLINK(A1)"  # text that a spreadsheet would execute when it is exported as CSV
        elif number == 50:
            cells["Heures/semaine"] = Formula("=1/0", "#DIV/0!")
            fate, fault = rejected("not_decimal"), "formula that failed"
        elif number == 60:
            older = {**cells, "Fonction": "Stagiaire"}
            rows.append(_row(older, SUPERSEDED, "employee repeated further down"))
        rows.append(_row(cells, fate, fault))
    return rows


def _row(cells: dict[str, Cell], fate: str, fault: str) -> Row[tuple[Cell, ...]]:
    return Row(str(cells["Matricule"]), tuple(cells[header] for header in HEADERS), (("employee", fate),), fault)


def _employee(random: Random, number: int) -> dict[str, Cell]:
    first, last = random.choice(names.FIRST), random.choice(names.LAST)
    postal_code, town = random.choice(names.TOWNS)
    phone = identifiers.phone(random)
    entered = date(random.randrange(2001, 2026), random.randrange(1, 13), random.randrange(1, 29))
    hours = random.choice((35, 35, 37.5, 39, 28))
    return {
        "Matricule": f"E{number:04d}", "Nom": last, "Prénom": first, "Fonction": random.choice(names.JOBS),
        "Date d'entrée": entered if random.random() < 0.7 else entered.strftime("%d/%m/%Y"),
        "Date de sortie": date(2026, 12, 31) if random.random() < 0.05 else None,
        "Téléphone": int(phone) if random.random() < 0.4 else identifiers.spelled(random, phone),
        "E-mail": f"{plain(first)}.{plain(last)}.{number}@thermelec.example",
        "Code postal": int(postal_code) if random.random() < 0.5 else postal_code, "Ville": town,
        "Heures/semaine": hours, "Heures/an": None, "Remarque": random.choice((None, None, "Permis C",
            "Habilitation électrique B2")),
    }


def workbook(rows: Sequence[Row[tuple[Cell, ...]]]) -> bytes:
    """The file as HR sends it; the properties' date is pinned, so that the same rows give the same bytes."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    book.set_properties({"title": "Employés", "created": datetime(2026, 11, 1)})
    note = book.add_worksheet("Lisez-moi")
    note.write_string(0, 0, "Extraction RH, ne pas modifier")
    sheet = book.add_worksheet("Employés")
    day_format = book.add_format({"num_format": "dd/mm/yyyy"})
    sheet.merge_range(0, 0, 0, len(HEADERS) - 1, "Thermelec Maintenance: personnel")
    for column, header in enumerate(HEADERS):
        sheet.write_string(HEADER_ROW - 1, column, header)
    for index, row in enumerate(rows):
        for column, cell in enumerate(_with_yearly_hours(row.content, HEADER_ROW + index + 1)):
            _write(sheet, HEADER_ROW + index, column, cell, day_format)
    below = HEADER_ROW + len(rows)
    for index in range(below, below + EMPTY_ROWS):
        sheet.write_blank(index, 0, None, day_format)
    book.close()
    return target.getvalue()


def _with_yearly_hours(cells: tuple[Cell, ...], line: int) -> tuple[Cell, ...]:
    """Heures/an is a formula over Heures/semaine in the same line."""
    weekly = cells[10]
    total = Formula(f"=K{line}*{WEEKS}", weekly * WEEKS if isinstance(weekly, int | float) else "#DIV/0!")
    return (*cells[:11], total, *cells[12:])


def _write(sheet: Worksheet, row: int, column: int, cell: Cell, day_format: object) -> None:
    if isinstance(cell, Formula):
        sheet.write_formula(row, column, cell.text, None, cell.result)
    elif isinstance(cell, date):
        sheet.write_datetime(row, column, cell, day_format)
    elif isinstance(cell, str):
        sheet.write_string(row, column, cell)
    elif cell is not None:
        sheet.write_number(row, column, cell)
