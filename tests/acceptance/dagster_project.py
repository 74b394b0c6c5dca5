"""A small project for Dagster's tests: customers and contacts of an ERP, from one drop folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

SYSTEMS = """
systems:
  erp: {label: ERP of the tests, owners: team:erp, connector: file, folder: drop, stable_for: 0s}
  hr: {connector: file}
"""
COMPANY = """
entity: company
masters: {name: erp, archived: erp, else: crm}
"""
CUSTOMERS = """
flow: customers
system: erp
description: Customers of the ERP
read:
  files: "customers_{day:%Y%m%d}.csv"
  full: true
  format: {csv: {delimiter: ";", encoding: utf-8}}
into:
  entity: company
  key: CODE
  match: [siret, [name, postal_code]]
  defaults: {type: customer}
  absent: archive
  fields:
    name: {from: NAME, required: true}
    siret: SIRET
    postal_code: {from: POSTCODE, region: FR}
    city: CITY
    category: CATEGORY
    sector: SECTOR
  expect:
    - expect_column_values_to_be_in_set: {column: category, value_set: [A, B], description: A or B}
    - expect_column_values_to_be_in_set: {column: sector, value_set: [north, south]}
    - expect_column_value_lengths_to_be_between: {column: name, max_value: 40}
    - expect_table_row_count_to_be_between: {min_value: 2}
guard: {rejects: 50%, archives: 20%}
schedule: {changes: "*/5 6-20 * * *", full: "0 2 * * *", timezone: Europe/Paris}
"""
CONTACTS = """
flow: contacts
system: erp
read: {files: "contacts_*.csv"}
into:
  entity: contact
  key: ID
  match: [email]
  fields:
    last_name: {from: NAME, required: true}
    email: EMAIL
    company: {from: CUSTOMER, refers: company}
"""
HEADER = "CODE;NAME;SIRET;POSTCODE;CITY;CATEGORY;SECTOR"


def write_project(root: Path) -> Path:
    """The project's YAML and its empty drop folder."""
    for name, text in {"systems": SYSTEMS, "entities/company": COMPANY, "flows/customers": CUSTOMERS,
                       "flows/contacts": CONTACTS}.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "drop").mkdir()
    return root


def customers(numbers: Iterable[int], *, bad: Iterable[int] = ()) -> str:
    """A file of customers; the `bad` ones have a category that nobody expects."""
    wrong = set(bad)
    lines = [f"C{n};Company number {n};;750{n % 20:02d};Paris;{'Z' if n in wrong else 'A'};north" for n in numbers]
    return "\n".join([HEADER, *lines]) + "\n"


def drop(root: Path, name: str, text: str) -> Path:
    """Lays a file into the drop folder, whole, as of some time ago."""
    path = root / "drop" / name
    hidden = root / f".{name}"
    hidden.write_text(text)
    past = time.time() - 60
    os.utime(hidden, (past, past))
    hidden.rename(path)
    return path
