"""What a Tryton needs before anybody can sell, invoice or book hours in it: company, currency, chart, year, hours."""

from __future__ import annotations

import datetime as dt
from typing import Any

from connectors.tryton.session import Session
from connectors.tryton.values import wire_value

YEAR = 2026
COMPANY = "Thermelec Maintenance"
COUNTRIES = (("France", "FR", "FRA"), ("Belgique", "BE", "BEL"), ("Suisse", "CH", "CHE"), ("Luxembourg", "LU", "LUX"))

ACCOUNTS = {"receivable": "411", "payable": "401", "revenue": "707", "expense": "607"}


def set_up_company(session: Session) -> None:
    """Once, in an empty database whose modules are activated; the user's later sessions work for this company."""
    _create(session, "country.country",
            *({"name": name, "code": code, "code3": code3} for name, code, code3 in COUNTRIES))
    [euro] = _create(session, "currency.currency",
                     {"name": "Euro", "code": "EUR", "numeric_code": "978", "symbol": "€"})
    _create(session, "currency.currency.rate", {"currency": euro, "date": _day(YEAR, 1, 1), "rate": _amount("1")})
    [party] = _create(session, "party.party", {"name": COMPANY})
    [company] = _create(session, "company.company", {"party": party, "currency": euro})
    [user] = session.read("model.res.user.search", [["login", "=", session.settings.user]], 0, None, None)
    session.write("model.res.user.write", [user], {"companies": [["add", [company]]], "company": company})
    session.close()  # the next login works for the company
    _create_chart(session, company)
    revenue, expense = _account(session, "revenue"), _account(session, "expense")
    _create(session, "product.category", {"name": "Matériel", "accounting": True, "account_revenue": revenue,
                                          "account_expense": expense})
    _open_year(session, company)
    _create(session, "account.invoice.payment_term", {"name": "30 jours", "lines": [["create", [
        {"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}]]]})


def _create_chart(session: Session, company: int) -> None:
    """The French chart of accounts, by the wizard that Tryton's own client would use."""
    [template] = session.read("model.account.account.template.search", [["parent", "=", None]], 0, 1, None)
    begun, _, _ = session.write("wizard.account.create_chart.create")
    chart = {"company": company, "account_template": template}
    session.write("wizard.account.create_chart.execute", begun, {"account": chart}, "create_account")
    properties = {"company": company, "account_receivable": _account(session, "receivable"),
                  "account_payable": _account(session, "payable")}
    session.write("wizard.account.create_chart.execute", begun, {"account": chart, "properties": properties},
                  "create_properties")
    session.write("wizard.account.create_chart.delete", begun)


def _account(session: Session, kind: str) -> int:
    """The first account of a kind whose code begins as accountants expect."""
    domain = [[f"type.{kind}", "=", True], ["closed", "!=", True], ["code", "like", f"{ACCOUNTS[kind]}%"]]
    found = session.read("model.account.account.search", domain, 0, 1, [["code", "ASC"]])
    return int(found[0])


def _open_year(session: Session, company: int) -> None:
    """A fiscal year with monthly periods and numbers for what is posted in it."""
    [kind] = session.read("model.ir.sequence.type.search", [["name", "=", "Invoice"]], 0, 1, None)
    [moves] = session.read("model.ir.sequence.type.search", [["name", "=", "Account Move"]], 0, 1, None)
    [post] = _create(session, "ir.sequence.strict", {"name": f"Écritures {YEAR}", "sequence_type": moves,
                                                      "company": company})
    [invoice] = _create(session, "ir.sequence.strict", {"name": f"Factures {YEAR}", "sequence_type": kind,
                                                         "company": company, "prefix": f"F{YEAR}-", "padding": 5})
    papers = ("out_invoice", "in_invoice", "out_credit_note", "in_credit_note")
    numbers = {f"{paper}_sequence": invoice for paper in papers}
    [year] = _create(session, "account.fiscalyear", {
        "name": str(YEAR), "start_date": _day(YEAR, 1, 1), "end_date": _day(YEAR, 12, 31), "company": company,
        "move_sequence": post, "invoice_sequences": [["create", [{"company": company, **numbers}]]],
    })
    session.write("model.account.fiscalyear.create_period", [year])


def _create(session: Session, model: str, *values: dict[str, Any]) -> list[int]:
    return list(session.write(f"model.{model}.create", list(values)))


def _day(year: int, month: int, day: int) -> Any:
    return wire_value("date", dt.date(year, month, day).isoformat())


def _amount(text: str) -> Any:
    return wire_value("numeric", text)

