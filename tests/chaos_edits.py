"""What people do to companies and their addresses on both sides, remembered edit by edit.

Each record bears a mark for life, given when it was made (a company's website, an address's name), by which both sides
find it. No two edits give a field the same value, but for `archived`. Some records are only archived and taken back: Tryton
lets nobody edit what is archived, so that an edit which meets an archiving would stay refused, as it should.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.chaos_desk import Chaos

ENTITIES = ("company", "address")
MARK = {"company": "website", "address": "name"}
REACHED = ("phone", "email")


@dataclass
class Known:
    """A record by its mark: its id in the CRM and in Tryton, as far as they are known; and the mark of its company."""

    mark: str
    entity: str
    record: int | None = None
    key: int | None = None
    owner: str = ""
    made: str = ""  # crm or tryton
    dormant: bool = False  # archived and taken back, and nothing else


@dataclass(frozen=True)
class Edit:
    """One field that somebody on one side gave a value."""

    side: str
    value: Any


@dataclass
class Edits:
    desk: Chaos
    chance: random.Random
    known: dict[str, Known] = field(default_factory=dict)
    told: dict[tuple[str, str], list[Edit]] = field(default_factory=lambda: defaultdict(list))
    """By mark and field, in the order in which they were made."""
    in_crm: list[tuple[Any, ...]] = field(default_factory=list)
    """What the CRM's journal must hold of its applications: (entity, record, op, what was set)."""
    numbers: Any = field(default_factory=lambda: count(1))

    def one(self) -> None:
        """One edit, of any kind, on any side; what an edit needs may not be there yet, then another is made."""
        while True:
            name, weight = zip(*KINDS.items(), strict=True)
            kind = self.chance.choices(name, weight)[0]
            if kind(self):
                return

    def learn(self) -> None:
        """Which record is which row, as the crosswalk says now; a row or record that is not ours has no mark."""
        for entity in ENTITIES:
            pairs = self.desk.sees(f"SELECT record_id, key::int FROM sync.crosswalk_{entity} x JOIN sync.feed f"
                                   " ON f.id = x.feed WHERE f.flow IN ('tryton_parties', 'tryton_addresses')")
            records, keys = dict(pairs), {key: record for record, key in pairs}
            for one in self.known.values():
                if one.entity == entity:
                    one.key = one.key or records.get(one.record)
                    one.record = one.record or keys.get(one.key)

    def crm_makes_a_company(self) -> bool:
        mark, number = self._mark("p", "https://{}.example")
        values = {"name": f"Company {number} of the CRM", "type": "customer", "website": mark,
                  "phone": f"+3319900{number:04d}", "email": f"crm{number}@example.org"}
        self._made(mark, "company", "crm", record=self._insert("company", values), values=values)
        return True

    def crm_makes_an_address(self) -> bool:
        return self._with("company", "record", self._address_in_crm)

    def _address_in_crm(self, owner: Known) -> None:
        mark, number = self._mark("a", "{}")
        values = {"company": owner.record, "name": mark, "street": f"{number} rue du CRM", "postal_code": "69002",
                  "city": f"Ville {number}"}
        self._made(mark, "address", "crm", record=self._insert("address", values), values=values, owner=owner.mark)

    def crm_edits_a_company(self) -> bool:
        return self._with("company", "record", lambda one: self._update(one, self.chance.choice(("name", *REACHED))))

    def crm_edits_an_address(self) -> bool:
        return self._with("address", "record", lambda one: self._update(one, self.chance.choice(("street", "city"))))

    def crm_archives_a_company(self) -> bool:
        """Or takes it back; only one that Tryton knows: another would never be sent."""
        def toggle(one: Known) -> None:
            [(archived,)] = self.desk.crm(
                "UPDATE crm.company SET archived_at = CASE WHEN archived_at IS NULL THEN now() END WHERE id = %s"
                " RETURNING archived_at IS NOT NULL", one.record)
            self.in_crm.append(("company", one.record, "update", (("archived", archived),)))
            self.told[one.mark, "archived"].append(Edit("crm", archived))
        return self._with("company", "both", toggle, dormant=True)

    def tryton_makes_a_party(self) -> bool:
        mark, number = self._mark("p", "https://{}.example")
        name, where = f"Party {number} of Tryton", {"street_unstructured": f"{number} rue de Tryton",
                                                    "postal_code": "75011", "city": f"Bourg {number}"}
        place, _ = self._mark("a", "{}")
        reached = {"phone": f"+3319900{number:04d}", "email": f"tryton{number}@example.org"}
        mechanisms = [{"type": kind, "value": value} for kind, value in {**reached, "website": mark}.items()]
        [key] = self.desk.there("party.party.create", [{
            "name": name, "contact_mechanisms": [["create", mechanisms]],
            "addresses": [["create", [{"party_name": place, **where}]]]}])
        self._made(mark, "company", "tryton", key=key, values={"name": name, **reached}, dormant=False)
        [address] = self.desk.there("party.address.search", [["party", "=", key]], 0, None, None)
        self._made(place, "address", "tryton", key=address, owner=mark, values={
            "street": where["street_unstructured"], "city": where["city"]})
        return True

    def tryton_makes_an_address(self) -> bool:
        return self._with("company", "key", self._address_in_tryton)

    def _address_in_tryton(self, owner: Known) -> None:
        mark, number = self._mark("a", "{}")
        values = {"street": f"{number} rue de Tryton", "city": f"Bourg {number}"}
        [key] = self.desk.there("party.address.create", [{
            "party": owner.key, "party_name": mark, "street_unstructured": values["street"], "city": values["city"],
            "postal_code": "75011"}])
        self._made(mark, "address", "tryton", key=key, owner=owner.mark, values=values)

    def tryton_renames_a_party(self) -> bool:
        return self._with("company", "key", lambda one: self._write(one, "party.party", one.key, "name", "name"))

    def tryton_reaches_a_party(self) -> bool:
        def reach(one: Known) -> None:
            kind = self.chance.choice(REACHED)
            [mechanism] = self.desk.there("party.contact_mechanism.search", [["party", "=", one.key], ["type", "=", kind]],
                                          0, 1, None, active_test=False)
            self._write(one, "party.contact_mechanism", mechanism, kind, "value")
        return self._with("company", "key", reach)

    def tryton_edits_an_address(self) -> bool:
        return self._with("address", "key", lambda one: self._write(one, "party.address", one.key, *self.chance.choice(
            (("street", "street_unstructured"), ("city", "city")))))

    def tryton_archives(self) -> bool:
        """A party or an address; or takes it back."""
        def toggle(one: Known) -> None:
            model = "party.party" if one.entity == "company" else "party.address"
            [row] = self.desk.there(f"{model}.read", [one.key], ["active"])
            self.desk.there(f"{model}.write", [one.key], {"active": not row["active"]})
            self.told[one.mark, "archived"].append(Edit("tryton", bool(row["active"])))
        return self._with(self.chance.choice(ENTITIES), "key", toggle, dormant=True)

    def _with(self, entity: str, where: str, act: Callable[[Known], None], *, dormant: bool = False) -> bool:
        """Does it to one of the records that this side knows."""
        able = [one for one in self.known.values() if one.entity == entity and one.dormant == dormant and (
            (one.record and one.key) if where == "both" else getattr(one, where))]
        if able:
            act(self.chance.choice(able))
        return bool(able)

    def _mark(self, kind: str, form: str) -> tuple[str, int]:
        number = next(self.numbers)
        return form.format(f"{kind}{number}"), number

    def _insert(self, entity: str, values: dict[str, Any]) -> int:
        names = ", ".join(values)
        places = ", ".join(["%s"] * len(values))
        [(record,)] = self.desk.crm(f"INSERT INTO crm.{entity} ({names}) VALUES ({places}) RETURNING id", *values.values())
        self.in_crm.append((entity, record, "create", ()))
        return int(record)

    def _made(self, mark: str, entity: str, side: str, *, values: dict[str, Any], record: int | None = None,
              key: int | None = None, owner: str = "", dormant: bool | None = None) -> None:
        sleeps = self.chance.random() < 0.2 if dormant is None else dormant
        self.known[mark] = Known(mark, entity, record, key, owner, side, sleeps)
        for name, value in values.items():
            if name in ("street", "city", "name", *REACHED) and value != mark:
                self.told[mark, name].append(Edit(side, value))

    def _update(self, one: Known, name: str) -> None:
        value = self._value(name, "crm")
        self.desk.crm(f"UPDATE crm.{one.entity} SET {name} = %s WHERE id = %s", value, one.record)
        self.in_crm.append((one.entity, one.record, "update", ((name, value),)))
        self.told[one.mark, name].append(Edit("crm", value))

    def _write(self, one: Known, model: str, number: int | None, name: str, column: str) -> None:
        value = self._value(name, "tryton")
        self.desk.there(f"{model}.write", [number], {column: value})
        self.told[one.mark, name].append(Edit("tryton", value))

    def _value(self, name: str, side: str) -> str:
        number = next(self.numbers)
        return {"phone": f"+3319900{number:04d}", "email": f"{side}{number}@example.org"}.get(
            name, f"{name.capitalize()} {number} by {side}")


KINDS: dict[Callable[[Edits], bool], int] = {
    Edits.crm_makes_a_company: 4, Edits.crm_makes_an_address: 2, Edits.crm_edits_a_company: 8,
    Edits.crm_edits_an_address: 3, Edits.crm_archives_a_company: 1, Edits.tryton_makes_a_party: 3,
    Edits.tryton_makes_an_address: 2, Edits.tryton_renames_a_party: 4, Edits.tryton_reaches_a_party: 4,
    Edits.tryton_edits_an_address: 3, Edits.tryton_archives: 1,
}
