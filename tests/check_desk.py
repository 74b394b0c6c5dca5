"""A desk for the tests of `check`: a small project on disk, and what is told of it."""

from __future__ import annotations

from pathlib import Path

from mappings.check.project import check_project

COMPANY = """\
entity: company
types: [prospect, customer, supplier]
families: [france, export]
fields:
  name: {required: true, max: 100}
  siret: {format: siret}
  city: {}
  employees: {type: number}
  credit: {type: money}
  area: {type: quantity}
  since: {type: date}
  seen: {type: datetime}
  vip: {type: boolean}
  grade: {type: choice, values: [A, B]}
  tags: {type: choices, values: [x, y, z]}
  parent: {type: link, to: company}
  partners: {type: links, to: company}
"""
ADDRESS = """\
entity: address
fields:
  company: {type: link, to: company}
  billed: {type: link, to: company}
  role: {type: choice, values: [billing, delivery]}
  street: {}
"""
SYSTEMS = "systems:\n  erp: {connector: file, folder: drop}\n  hr: {connector: file, folder: hr}\n"
FLOW = """\
flow: customers
system: erp
read: {files: "CLI_{company}_{day:%Y%m%d}.csv"}
into:
  - entity: company
    key: CODE
    fields: {name: NOM}
"""


def lay(root: Path, files: dict[str, str]) -> Path:
    every = {"systems.yaml": SYSTEMS, "flows/customers.yaml": FLOW, "b/company.yaml": COMPANY, "b/address.yaml": ADDRESS}
    for name, text in {**every, **files}.items():
        path = root / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def told(root: Path, files: dict[str, str]) -> list[str]:
    """The problems, each without its folder."""
    lay(root, files)
    return [str(problem).removeprefix("mappings/") for problem in check_project(root, {}, builtin=root / "mappings/b")]


def flow_told(root: Path, text: str) -> list[str]:
    return [line.removeprefix("flows/customers.yaml:") for line in told(root, {"flows/customers.yaml": text})]
