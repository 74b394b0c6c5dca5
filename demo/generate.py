"""Writes the demo's files: `python -m demo.generate FOLDER`; the same bytes each time.

::

    FOLDER/sage/     CLI_SIEGE_20261102.csv  CONTACTS_…  ART_…  CMD_…txt        Windows-1252, semicolons
    FOLDER/compta/   BAL_20261102.txt  999000004FEC20261102.txt                 fixed width; tabs
    FOLDER/rh/       EMPLOYES_20261102.xlsx
    FOLDER/gmao/     clients_20261102.csv  contracts_….jsonl  workorders_….csv  UTF-8
    FOLDER/expected.json   what was planted, and what must become of it
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from demo import accounting, cmms_clients, cmms_work, delimited, erp_customers, erp_orders, erp_people, hr
from demo.manifest import CREATED, LINKED, Manifest, Row, reordered
from demo.world import make_world

SEED = 2026
FIRST_DAY = "20261102"
LATE_DAY = "20261103"
NEXT_DAY = "20261104"


@dataclass(frozen=True)
class Demo:
    """All rows of the first day by what holds them, and the branch that is a day late."""

    customers: list[Row[bytes]]
    late: list[Row[bytes]]
    contacts: list[Row[bytes]]
    products: list[Row[bytes]]
    orders: list[Row[bytes]]
    balances: list[Row[bytes]]
    ledger: list[Row[bytes]]
    employees: list[Row[tuple[hr.Cell, ...]]]
    clients: list[Row[bytes]]
    contracts: list[Row[bytes]]
    work_orders: list[Row[bytes]]

    def manifest(self) -> Manifest:
        manifest = Manifest()
        for flow, rows in (
            ("sage_customers", self.customers), ("sage_contacts", self.contacts), ("sage_products", self.products),
            ("sage_orders", _of(self.orders, "document")), ("sage_order_lines", _of(self.orders, "document_line")),
            ("compta_balances", self.balances), ("compta_ledger", self.ledger), ("rh_employees", self.employees),
            ("gmao_clients", self.clients), ("gmao_contracts", self.contracts), ("gmao_work_orders", self.work_orders),
        ):
            manifest.count(flow, rows)
        return manifest


def _of(rows: Iterable[Row[Any]], label: str) -> list[Row[Any]]:
    return [row for row in rows if row.fates[0][0] == label]


def last_fates(rows: Iterable[Row[Any]], label: str) -> dict[str, str]:
    """What becomes of each key: of rows that repeat one, the last counts."""
    return {row.key: row.fate(label) for row in rows}


def make_demo(seed: int = SEED) -> Demo:
    world, random = make_world(seed), Random(seed)
    customers = erp_customers.customer_rows(world, random)
    companies = last_fates(customers, "company")
    products = erp_people.product_rows(random)
    employees = hr.employee_rows(random)
    faultless = last_fates([row for row in customers if not row.fault], "company")
    clients, codes = cmms_clients.client_rows(world, faultless, random)
    refused = [row.key for row in clients if row.fate("company") not in {CREATED, LINKED}]
    contracts, known = cmms_work.contract_rows(codes, refused, random)
    technicians = [row.key for row in employees if row.fate("employee") == CREATED]
    return Demo(
        customers=customers,
        late=erp_customers.late_rows(world, random),
        contacts=erp_people.contact_rows(world, companies, random),
        products=products,
        orders=erp_orders.order_rows(world, companies, last_fates(products, "product"), random),
        balances=accounting.balance_rows(world, companies, random),
        ledger=accounting.ledger_rows(world, companies, random),
        employees=employees,
        clients=clients,
        contracts=contracts,
        work_orders=cmms_work.work_order_rows(known, technicians, random),
    )


def write(path: Path, content: bytes) -> None:
    """Written under another name first: a sensor never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _lines(rows: Sequence[Row[bytes]]) -> list[bytes]:
    return [row.content for row in rows]


def write_day(folder: Path, demo: Demo, day: str = FIRST_DAY, mix: Random | None = None) -> None:
    """The files of one day; with `mix` their rows stand in another order and say the same."""
    def rows(of: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        return of if mix is None else reordered(of, mix)

    customers = delimited.text_file(erp_customers.HEADER, _lines(rows(demo.customers)))
    write(folder / "sage" / f"CLI_SIEGE_{day}.csv", customers)
    contacts = delimited.text_file(erp_people.CONTACT_HEADER, _lines(rows(demo.contacts)))
    write(folder / "sage" / f"CONTACTS_{day}.csv", contacts)
    products = delimited.text_file(erp_people.PRODUCT_HEADER, _lines(rows(demo.products)))
    write(folder / "sage" / f"ART_{day}.csv", products)
    orders = rows(demo.orders)
    write(folder / "sage" / f"CMD_{day}.txt", delimited.text_file(None, [*_lines(orders), erp_orders.trailer(orders)]))
    balances = rows(demo.balances)
    write(folder / "compta" / f"BAL_{day}.txt",
          delimited.text_file(None, [*_lines(balances), accounting.balance_trailer(balances)]))
    ledger = delimited.text_file("\t".join(accounting.FEC_COLUMNS), _lines(rows(demo.ledger)), encoding="utf-8")
    write(folder / "compta" / f"{accounting.COMPANY_SIREN}FEC{day}.txt", ledger)
    write(folder / "rh" / f"EMPLOYES_{day}.xlsx", hr.workbook(rows(demo.employees)))
    clients = delimited.text_file(cmms_clients.HEADER, _lines(rows(demo.clients)), encoding="utf-8", end=b"\n")
    write(folder / "gmao" / f"clients_{day}.csv", clients)
    contracts = delimited.text_file(None, _lines(rows(demo.contracts)), encoding="utf-8", end=b"\n")
    write(folder / "gmao" / f"contracts_{day}.jsonl", contracts)
    work = delimited.text_file(cmms_work.WORK_HEADER, _lines(rows(demo.work_orders)), encoding="utf-8", end=b"\n")
    write(folder / "gmao" / f"workorders_{day}.csv", work)


def write_late_branch(folder: Path, demo: Demo, day: str = LATE_DAY) -> None:
    """The northern branch's customers; contacts and subsidiaries of the first day wait for them."""
    content = delimited.text_file(erp_customers.HEADER, _lines(demo.late))
    write(folder / "sage" / f"CLI_NORD_{day}.csv", content)


def write_cut_balances(folder: Path, demo: Demo, day: str = LATE_DAY) -> None:
    """A file whose transfer broke: half of the balances, and no trailer that would tell."""
    content = delimited.text_file(None, _lines(demo.balances))
    write(folder / "compta" / f"BAL_{day}.txt", content[: len(content) // 2])


def write_expected(folder: Path, demo: Demo) -> None:
    text = json.dumps(demo.manifest().as_json(), ensure_ascii=False, indent=1, sort_keys=True)
    write(folder / "expected.json", text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the demo's files of the first day.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    demo = make_demo()
    write_day(folder, demo)
    write_expected(folder, demo)


if __name__ == "__main__":
    main()
