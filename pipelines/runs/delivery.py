"""One batch on its way: an intent for each write before it is made, the system's receipt for each after it.

What the system has taken becomes the base in the transaction that notes its receipt: between the two, a process that is
cut would leave rows that it had made as strangers, whose next reading is a conflict.

A batch that the system takes whole or not at all is halved when it is refused, down to the one bad change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, update

from connectors.remote import Capabilities, Change, Receipt, Remote, Resource
from crm_store import hub_tables as tables
from mappings.codecs.keys import joined_key
from pipelines.hub import Hub
from pipelines.runs.attempt import durable
from pipelines.stages.agree import agree_on, link_made
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send, remote_key

OPERATIONS = ("create", "update", "archive", "delete")


@dataclass(frozen=True)
class Answered:
    """A send, its intent, and what the system said of it."""

    send: Send
    intent: int
    receipt: Receipt

    def as_sent(self) -> Send:
        """The send under the key that the row has there now."""
        key = self.send.key if self.receipt.key is None else joined_key(self.receipt.key)
        return replace(self.send, key=key)


def deliver(hub: Hub, plan: IntoPlan, remote: Remote, resource: Resource, can: Capabilities, run_id: int,
            sends: Sequence[Send]) -> list[Answered]:
    """Writes every send without a fault; raises RemoteDown when the system was not even reached.

    Then every intent of this call that has no receipt is dropped: nothing had been sent.
    """
    answered: list[Answered] = []
    for operation in OPERATIONS:
        mine = [send for send in sends if send.operation == operation and send.fault is None]
        for start in range(0, len(mine), can.batch):
            part = mine[start : start + can.batch]
            with hub.small.begin() as connection:
                durable(connection)  # an intent that a power cut took would be a write that nobody looks for
                intents = _intend(connection, plan, run_id, part)
            changes = [_change(plan, resource, send) for send in part]
            try:
                receipts = _written(remote, resource, changes, whole=can.whole_batch)
            except Exception:
                with hub.small.begin() as connection:
                    _note(connection, intents, [Receipt("retry", code="not_sent")] * len(part), dropped=True)
                raise
            these = [Answered(*each) for each in zip(part, intents, receipts, strict=True)]
            done = [one.as_sent() for one in these if one.receipt.state == "delivered"]
            with hub.small.begin() as connection:
                _note(connection, intents, receipts)
                (link_made if operation == "create" else agree_on)(connection, plan, done)
            answered += these
    return answered


def _written(remote: Remote, resource: Resource, changes: list[Change], *, whole: bool) -> list[Receipt]:
    receipts = remote.write(resource, changes)
    if not whole or len(changes) == 1 or any(receipt.state != "refused" for receipt in receipts):
        return receipts
    middle = len(changes) // 2
    return [receipt for half in (changes[:middle], changes[middle:])
            for receipt in _written(remote, resource, half, whole=True)]


def _change(plan: IntoPlan, resource: Resource, send: Send) -> Change:
    """The change as the connector takes it: a key is never changed, and given only where we number new rows."""
    keys = {str(column) for column in plan.into.key}
    ours = send.operation == "create" and plan.into.keyed.assigned == "crm"
    cells = {column: cell for column, cell in send.cells.items() if ours or column not in keys}
    if send.operation == "create":
        cells = {column: cell for column, cell in cells.items() if cell != ""}  # a new row begins with its own defaults
    return Change(send.operation, None if send.key is None else remote_key(send.key), cells, version=send.version,
                  reference=str(send.record_id) if send.operation == "create" and resource.reference else None)


def _intend(connection: Connection, plan: IntoPlan, run_id: int, sends: Sequence[Send]) -> list[int]:
    rows = [{"feed": plan.feed, "record_id": send.record_id, "run_id": run_id, "operation": send.operation,
             "key": send.key, "values": send.cells} for send in sends]
    statement = insert(tables.intent).returning(tables.intent.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, rows))


def _note(connection: Connection, intents: Sequence[int], receipts: Sequence[Receipt], *, dropped: bool = False
          ) -> None:
    table = tables.intent
    rows: list[dict[str, Any]] = [
        {"number": number, "said": "dropped" if dropped else receipt.state, "told": receipt.code or None,
         "words": receipt.message or None, "under": None if receipt.key is None else joined_key(receipt.key)}
        for number, receipt in zip(intents, receipts, strict=True)
    ]
    connection.execute(
        update(table).where(table.c.id == bindparam("number")).values(
            state=bindparam("said"), code=bindparam("told"), message=bindparam("words"),
            key=func.coalesce(bindparam("under", type_=table.c.key.type), table.c.key), answered_at=func.now(),
        ), rows,
    )
