"""A desk for the tests of the language: a small project on disk, and how it is read."""

from __future__ import annotations

from pathlib import Path

from mappings.language.project import Draft, read_project

COMPANY = """\
entity: company
label: Company
types: [prospect, customer]
fields:
  name: {required: true}
  siret: {format: siret}
  postal_code: {}
  credit: {type: money}
  parent: {type: link, to: company}
masters: {name: crm}
show: name
"""
FLOW = """\
flow: customers
system: sage
into:
  - entity: company
    key: CODE
    fields: {name: NOM}
"""
SYSTEMS = "systems:\n  sage: {connector: file, folder: drop}\n  cmms: {connector: file, folder: cmms}\n"


def lay(root: Path, files: dict[str, str]) -> Path:
    """A project with one system, one entity and one flow, and `files` over it (names below mappings/)."""
    every = {"systems.yaml": SYSTEMS, "flows/customers.yaml": FLOW, "builtin/company.yaml": COMPANY, **files}
    for name, text in every.items():
        path = root / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def draft(root: Path, files: dict[str, str], env: dict[str, str] | None = None) -> Draft:
    lay(root, files)
    return read_project(root, env or {}, root / "mappings" / "builtin")


def told(root: Path, files: dict[str, str], env: dict[str, str] | None = None) -> list[str]:
    return [str(problem).removeprefix("mappings/") for problem in draft(root, files, env).problems]
