"""Sets of links and prices on their way to a real Tryton, and back: nothing is left to be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from mappings.language.project import require_project
from tests.acceptance.test_tryton_both_ways import Both
from tests.tryton_desk import lay_mappings, others, tryton

__all__ = ["others", "tryton"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first on a machine sets Tryton up

GROUP = """
entity: party_group
fields:
  name: {type: text, required: true}
masters: {else: shared}
on_conflict: {else: tryton}
show: [name]
"""
GROUPS = """
flow: groups
system: tryton
read: {resource: party.category}
into:
  entity: party_group
  ids: category
  key: id
  fields: {name: name}
"""
TEMPLATES = """
flow: templates
system: tryton
direction: two-way
read: {resource: product.template, version: _timestamp, stamp: last_modified_at}
write: {create: true}
into:
  entity: product
  ids: template
  key: {from: id, assigned: remote}
  fields:
    name: {from: name, required: true}
    type: {from: type, values: {goods: goods, service: service}}
    unit: default_uom.name
    price: {from: list_price, currency: EUR}
"""


def put(root: Path, path: str, text: str) -> None:
    (root / "mappings" / path).write_text(text, "utf-8")


def replaced(root: Path, path: str, old: str, new: str) -> None:
    text = (root / "mappings" / path).read_text("utf-8")
    assert old in text
    put(root, path, text.replace(old, new))


@pytest.fixture
def both(tryton: TrytonServer, others: Session, new_store: Any, tmp_path: Path) -> Both:
    lay_mappings(tmp_path)
    put(tmp_path, "entities/party_group.yaml", GROUP)
    put(tmp_path, "entities/product.yaml", "entity: product\nmasters: {else: shared}\non_conflict: {else: tryton}\n")
    put(tmp_path, "flows/groups.yaml", GROUPS)
    put(tmp_path, "flows/templates.yaml", TEMPLATES)
    replaced(tmp_path, "entities/company.yaml", "fields:\n", "fields:\n  groups: {type: links, to: party_group}\n")
    replaced(tmp_path, "flows/tryton_parties.yaml", "    website: website\n",
             "    website: website\n    groups: {from: categories, many: true, refers: {entity: party_group, ids: category}}\n")
    project = require_project(tmp_path, {"TRYTON_URL": tryton.url, "TRYTON_PASSWORD_FILE": str(tryton.password_file)})
    return Both(tmp_path, new_store(project), project, others)


def test_a_set_of_links_is_made_and_changed_there_and_reads_back_as_it_was_sent(both: Both) -> None:
    made = both.session.write("model.party.category.create", [{"name": name} for name in ("Large", "Local", "Late")])
    number = both.party("Of two groups", categories=[["add", [made[0]]]])
    both.run("groups")
    both.run()
    large, local, late = (both.crm("SELECT id FROM crm.party_group WHERE name = %s", name)[0][0]
                          for name in ("Large", "Local", "Late"))

    def here(name: str) -> list[int]:
        return sorted(both.crm("SELECT groups FROM crm.company WHERE name = %s", name)[0][0] or [])

    def send(counts: tuple[int, int]) -> None:
        for expected in (counts, (0, 0)):
            pushed = both.push()
            assert (pushed.counts["created"], pushed.counts["updated"]) == expected
            assert pushed.counts["refused"] == 0, both.sees("SELECT why FROM sync.outbox")
            both.run(full=True)

    assert here("Of two groups") == [large]
    both.crm("UPDATE crm.company SET groups = %s WHERE name = 'Of two groups'", [late, local])
    both.crm("INSERT INTO crm.company (name, type, groups) VALUES ('Made with groups', 'customer', %s)", [large, late])
    send((1, 1))
    assert sorted(both.there(number, "categories")[0]) == sorted(made[1:])
    [other] = both.session.read("model.party.party.search", [["name", "=", "Made with groups"]], 0, None, None)
    assert sorted(both.there(other, "categories")[0]) == [made[0], made[2]]
    assert (here("Of two groups"), here("Made with groups")) == (sorted([local, late]), sorted([large, late]))
    both.crm("UPDATE crm.company SET groups = NULL WHERE name = 'Of two groups'")
    send((0, 1))
    assert both.there(number, "categories") == [[]]
    assert here("Of two groups") == []
    assert both.sees("SELECT count(*) FROM sync.outbox") == [(0,)]


def test_a_price_goes_out_with_the_digits_that_it_needs(both: Both) -> None:
    [unit] = both.session.read("model.product.uom.search", [["name", "=", "Unit"]], 0, 1, None)
    made = both.session.write("model.product.template.create", [
        {"name": name, "type": "goods", "default_uom": unit, "list_price": {"__class__": "Decimal", "decimal": price}}
        for name, price in (("Plain", "10"), ("Exact", "10.0000"), ("Too exact", "10"))])
    both.run("templates")
    for name, price in (("Plain", "15.5"), ("Exact", "1234.5678"), ("Too exact", "15.123456")):
        both.crm("UPDATE crm.product SET price = %s WHERE name = %s", price, name)
    pushed = both.push("templates")
    assert (pushed.counts["updated"], pushed.counts["refused"]) == (2, 1)
    rows = both.session.read("model.product.template.read", made, ["name", "list_price"])
    assert {row["name"]: row["list_price"]["decimal"] for row in rows} == {
        "Plain": "15.5", "Exact": "1234.5678", "Too exact": "10"}
    [(why,)] = both.sees("SELECT why->>'message' FROM sync.outbox")
    assert "15.123456" in why
    both.run("templates", full=True)
    assert both.push("templates").counts["updated"] == 0
