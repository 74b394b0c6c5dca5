"""Writing: one call for all changes of a batch, which Tryton takes whole or not at all.

::

    cells ─▶ typed values ──▶ create [v, v …] | write ids, v, ids, v … | delete ids    context: _timestamp of each id
      │ no value, no row                │          ▲
      ▼                                 │          └─ before it, of archived records that are no longer: {active: true}
    refused, alone                      ├─ done                  delivered
                                        ├─ Refused               refused, all: halve to find the bad one; a right that
                                        │                        our login lacks: not_able
                                        ├─ Stale                 those that are newer; the others are written again
                                        └─ AnswerLost            unclear, all

Tryton takes no value of an archived record, not even along with `active`: such a record is taken back by a call of its
own. Where that is all that comes to be done, the next reading finds the record taken back, and the rest is sent again.

A receipt holds no version: between our write and our reading of it somebody else may have written, and his version
would pass for ours. Read the row back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.remote import NOT_ABLE, Change, Operation, Receipt, Resource, State
from connectors.tryton.answer import Refused, Stale
from connectors.tryton.cells import cells_of
from connectors.tryton.encode import Encoder
from connectors.tryton.mechanisms import MECHANISM, Moved
from connectors.tryton.model import VERSION
from connectors.tryton.query import EVERYTHING, Query
from connectors.tryton.session import Session
from connectors.tryton.values import BadCell
from connectors.tryton.wire import AnswerLost
from connectors.tryton.words import NO_RIGHT
from mappings.errors import NavetteError

ACTIVE, WRITER = "active", "write_uid"
WRITES = 2
"""Calls for one batch: the second one without what turned out to be stale."""


@dataclass(frozen=True)
class Sent:
    """A change ready to go: `place` among the changes, the record's `id` (none yet: 0), its typed values."""

    place: int
    change: Change
    id: int
    values: dict[str, Any]


@dataclass
class Writer:
    session: Session
    query: Query  # of the key's columns
    encoder: Encoder

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        operations = {change.operation for change in changes}
        if len(operations) > 1:
            raise ValueError(f"one call takes one operation, not {sorted(operations)}")
        receipts: dict[int, Receipt] = {}
        for operation in operations:
            try:
                sent = self._ready(resource, operation, changes, receipts)
            except Refused as refused:  # what is written over may not be read
                return [self._refused(refused, change) for change in changes]
            for _ in range(WRITES):
                if not sent:
                    break
                sent = self._send(operation, sent, receipts)
            for one in sent:
                receipts[one.place] = Receipt("retry", one.change.key, message="others of its batch were stale")
        return [receipts[place] for place in range(len(changes))]

    def _ready(self, resource: Resource, operation: Operation, changes: Sequence[Change],
               receipts: dict[int, Receipt]) -> list[Sent]:
        ids = {} if operation == "create" else self.encoder.ids_of(self.query, [one.key for one in changes if one.key])
        written = (name for one in changes for name in one.values)
        self.encoder.prepare(written, (number for found in ids.values() for number in found))
        ready = []
        for place, change in enumerate(changes):
            try:
                number = 0 if operation == "create" else self._id(change, ids)
                mark = {ACTIVE: "false"} if operation == "archive" else {ACTIVE: "true"} if change.back else {}
                cells: Mapping[str, str] = {**mark, **change.values}
                if operation == "create" and resource.reference and change.reference is not None:
                    cells = {**cells, resource.reference: change.reference}
                values = {} if operation == "delete" else self.encoder.values(cells, number, change.expected or {})
            except BadCell as bad:
                receipts[place] = Receipt("refused", change.key, code="value", message=str(bad))
            except Moved as moved:
                receipts[place] = Receipt("stale", change.key, code="moved", message=moved.message)
            else:
                ready.append(Sent(place, change, number, values))
        return ready

    @staticmethod
    def _id(change: Change, ids: Mapping[tuple[str, ...], list[int]]) -> int:
        found = ids.get(change.key or (), [])
        if len(found) != 1:
            shown = ", ".join(change.key or ())
            raise BadCell(f"there is no row {shown}" if not found else f"{len(found)} rows have the key {shown}")
        return found[0]

    def _send(self, operation: Operation, sent: list[Sent], receipts: dict[int, Receipt]) -> list[Sent]:
        """Writes into `receipts`; returns what is to be written again."""
        try:
            if operation == "update":
                sent = self._taken_back(sent)
            told = self._call(operation, sent)
        except Stale as stale:
            return self._without_stale(sent, stale, receipts)
        except Refused as refused:
            passing = refused.transient or (operation == "create" and self.encoder.numbers.were_given_twice(
                refused, (one.values for one in sent)))
            self.encoder.forget()  # a record that was linked to may be gone
            for one in sent:
                receipts[one.place] = self._refused(refused, one.change, "retry" if passing else "refused")
        except AnswerLost as lost:
            for one in sent:
                receipts[one.place] = Receipt("unclear", one.change.key, message=lost.message)
        else:
            self._delivered(operation, sent, told, receipts)
        return []

    def _refused(self, refused: Refused, change: Change, state: State = "refused") -> Receipt:
        code = NOT_ABLE if self.encoder.words.say(refused, NO_RIGHT) else refused.code
        return Receipt(state, change.key, code=code, message=refused.message)

    def _call(self, operation: Operation, sent: list[Sent]) -> Any:
        method, model = f"model.{self.query.model}.", self.query.model
        if operation == "create":
            return self.session.write(f"{method}create", [one.values for one in sent])
        versions = {f"{model},{one.id}": one.change.version for one in sent if one.change.version}
        versions |= {f"{MECHANISM},{number}": version for one in sent
                     for number, version in self.encoder.mechanisms.written.get(one.id, {}).items()}
        context = {VERSION: versions} if versions else None
        if operation == "delete":
            return self.session.write(f"{method}delete", list(dict.fromkeys(one.id for one in sent)), context=context)
        return self.session.write(f"{method}write", *_pairs(sent), context=context)

    def _taken_back(self, sent: list[Sent]) -> list[Sent]:
        """Takes back those that are archived there and get other values too; they then go by the version that they have
        since. One that somebody else has saved meanwhile keeps its own, which Tryton finds stale."""
        model = self.query.model
        ids = [one.id for one in sent if one.values.get(ACTIVE) is True and len(one.values) > 1]
        archived = self.session.read(f"model.{model}.search", [["id", "in", ids], [ACTIVE, "=", False]], 0, None, None,
                                     context=EVERYTHING) if ids else []
        if not archived:
            return sent
        back = [replace(one, values={ACTIVE: True}) for one in sent if one.id in archived]
        self._call("update", back)
        versions = Query(self.session, model, ()).of_ids(archived, (VERSION, WRITER))
        ours = {row["id"]: row[VERSION] for row in versions if row[WRITER] == self.session.user}
        return [replace(one, change=replace(one.change, version=ours[one.id])) if one.id in ours and one.change.version
                else one for one in sent]

    def _without_stale(self, sent: list[Sent], stale: Stale, receipts: dict[int, Receipt]) -> list[Sent]:
        """Tryton does not say which record is newer: their versions do, and those of their mechanisms."""
        versions = Query(self.session, self.query.model, ())
        rows = versions.rows([["id", "in", [one.id for one in sent]]], len(sent), extra=(VERSION,))
        now = {row["id"]: row[VERSION] for row in rows}
        moved = self.encoder.mechanisms.moved([one.id for one in sent])
        newer = [one for one in sent if one.id in moved or (
            one.change.version and now.get(one.id) != one.change.version)]
        for one in newer or sent:
            receipts[one.place] = Receipt("stale", one.change.key, code=stale.code, message=stale.message)
        return [one for one in sent if one not in newer] if newer else []

    def _delivered(self, operation: Operation, sent: list[Sent], told: Any, receipts: dict[int, Receipt]) -> None:
        if operation != "create":
            for one in sent:
                receipts[one.place] = Receipt("delivered", one.change.key)
            return
        names = [column.name for column in self.query.columns]
        keys = {number: (str(number),) for number in told}
        if names != ["id"]:
            try:
                rows = self.query.rows([["id", "in", told]], len(told))
            except NavetteError as error:
                for one, number in zip(sent, told, strict=True):
                    receipts[one.place] = Receipt("unclear", message=f"created with id {number}; its key could not be "
                                                                     f"read: {error.message}")
                return
            cells = [cells_of(column, rows) for column in self.query.columns]
            keys = dict(zip((row["id"] for row in rows), zip(*cells, strict=True), strict=True))
        for one, number in zip(sent, told, strict=True):
            receipts[one.place] = Receipt("delivered", keys.get(number))


def _pairs(sent: list[Sent]) -> list[Any]:
    """ids, values, ids, values …: records that follow each other with equal values share a pair; none twice in one,
    which Tryton refuses."""
    pairs: list[tuple[list[int], dict[str, Any]]] = []
    for one in sent:
        if pairs and pairs[-1][1] == one.values and one.id not in pairs[-1][0]:
            pairs[-1][0].append(one.id)
        else:
            pairs.append(([one.id], one.values))
    return [part for pair in pairs for part in pair]

