"""What the five forms of the ledger must come to: the FEC makes records, the others find nothing to change."""

from __future__ import annotations

import re
from collections import Counter

from tests.real_exports.raw_exports import EXPORTS, Row, rows

Outcomes = dict[str, dict[str, dict[str, int]]]
LD_COMPTA = "dolibarr_ledger_LD_Compta_v10_et_superieure.csv"


def ld_compta(day: str, kind: str) -> list[list[str]]:
    """The lines of one kind; entities are characters, whose semicolon is no delimiter."""
    text = re.sub(r"&(\w+);", r"\1", EXPORTS.joinpath(day, LD_COMPTA).read_text("utf-8"))
    return [line.split(";") for line in text.splitlines() if line.startswith(kind)]


def ledgers(day: str, companies: list[Row], out: set[str]) -> Outcomes:
    """Lines wait for a customer, or an invoice, that was not taken in."""
    codes = {row["code"] for row in companies if row["key"] in out and row["code"]}
    invoices = {
        row["Réf. facture"] for row in rows("dolibarr_invoices_payments_iso_comma.csv", day)
        if row["Identifiant société"] in out
    }
    fec = rows("dolibarr_ledger_FEC.txt", day)
    waiting = {
        (row["EcritureNum"], row["CompteNum"]) for row in fec
        if row["CompAuxNum"] in codes or row["PieceRef"] in invoices
    }
    lines = ld_compta(day, "E")
    known = {(row["EcritureNum"], row["CompteNum"]) for row in fec}
    more = [line for line in lines if (line[3], line[11]) not in known]
    late = sum(line[20] in invoices or line[15] in codes for line in more)
    parked = len(waiting) + late
    others = {"rows_read": len(lines), "parked": parked, "unchanged": len(lines) - parked}
    made = len(more) - late
    return {
        "dolibarr_ledger_fec": {"ledger_entry": {
            "rows_read": len(fec), "parked": len(waiting), "created": len(fec) - len(waiting)}},
        "dolibarr_ledger_ld_compta": {"ledger_entry": {**others, "created": made, "unchanged": others["unchanged"] - made}},
        "dolibarr_ledger_ld_compta_customers": {"company": customers(day, codes)},
        **{f"dolibarr_ledger_{name}": {"ledger_entry": others} for name in ("cegid", "ebp", "quadratus")},
    }


def customers(day: str, codes: set[str]) -> dict[str, int]:
    """A customer stands again before each of its invoices; an unquoted `;` in a street moves the columns."""
    lines = ld_compta(day, "C")
    good = Counter(line[1] for line in lines if len(line) == 48)
    waiting = sum(code in codes for code in good)
    return {"rows_read": len(lines), "rejected": len(lines) - good.total(), "superseded": good.total() - len(good),
            "parked": waiting, "unchanged": len(good) - waiting}
