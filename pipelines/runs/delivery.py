"""One batch on its way: an intent for each write before it is made, the system's receipt for each after it.

A batch that the system takes whole or not at all is halved when it is refused, down to the one bad change. What the
system has taken becomes the base in the transaction that notes its receipt: killed before it, the write is open and
looked for; killed after it, nothing is missing. Nothing is written by a process that no longer holds the flow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, Text, Update, bindparam, column, func, insert, update

from connectors.remote import Capabilities, Change, Receipt, Remote, Resource
from crm_store import hub_tables as tables
from mappings.codecs.keys import joined_key
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.exact import exact_among
from pipelines.runs.leadership import must_lead
from pipelines.stages.agree import agree_on, link_made
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send, as_json, remote_key

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


def deliver(hub: Hub, flow: Flow, plan: IntoPlan, remotes: Sequence[Remote], resource: Resource, can: Capabilities,
            run_id: int, sends: Sequence[Send]) -> list[Answered]:
    """Writes every send without a fault, and links what was made; as many batches at once as there are sessions.

    Raises RemoteDown when the system was not even reached, RetryLater when another process may have taken the flow
    over. Then every intent of this call that has no receipt is dropped: nothing had been sent.
    """
    answered: list[Answered] = []
    for operation in OPERATIONS:
        mine = [send for send in sends if send.operation == operation and send.fault is None]
        parts = [mine[start : start + can.batch] for start in range(0, len(mine), can.batch)]
        work = partial(_delivered, hub, flow, plan, resource, can, run_id)
        if len(remotes) == 1 or len(parts) < 2:
            for part in parts:
                answered += work(remotes[0], part)
        else:
            answered += _at_once(work, remotes, parts)
    return answered


def _at_once(work: Callable[[Remote, Sequence[Send]], list[Answered]], remotes: Sequence[Remote],
             parts: Sequence[Sequence[Send]]) -> list[Answered]:
    """The parts, one at a time on each session. After a fault none is begun, those under way end, and it is raised."""
    left, faults = deque(parts), list[Exception]()

    def session(remote: Remote) -> list[Answered]:
        done: list[Answered] = []
        while not faults:
            try:
                part = left.popleft()
            except IndexError:
                break
            try:
                done += work(remote, part)
            except Exception as fault:
                faults.append(fault)
        return done

    with ThreadPoolExecutor(len(remotes), thread_name_prefix="navette-send") as pool:
        # Each in the caller's context: it says under whose leadership this is done.
        running = [pool.submit(copy_context().run, session, remote) for remote in remotes]
        answered = [one for each in running for one in each.result()]
    if faults:
        raise faults[0]
    return answered


def _delivered(hub: Hub, flow: Flow, plan: IntoPlan, resource: Resource, can: Capabilities, run_id: int, remote: Remote,
               part: Sequence[Send]) -> list[Answered]:
    call = make_call(hub, plan, resource, can, remote, begin_call(hub, plan, run_id, part))
    for place in exact_among(hub, flow, plan, part, call.receipts):
        part[place].exact = True
    return note_call(hub, plan, call)


@dataclass
class Call:
    """One call to a system: its sends, their intents, what is known of them by place, and what it ended with."""

    run_id: int
    part: Sequence[Send]
    intents: Sequence[int]
    receipts: dict[int, Receipt] = field(default_factory=dict)
    fault: Exception | None = None


def begin_call(hub: Hub, plan: IntoPlan, run_id: int, part: Sequence[Send]) -> Call:
    """Notes the intents of what is to be written in one call."""
    with hub.small.begin() as connection:
        must_lead(connection, durably=True)  # an intent that a power cut took would be a write that nobody looks for
        return Call(run_id, part, _intend(connection, plan, run_id, part))


def make_call(hub: Hub, plan: IntoPlan, resource: Resource, can: Capabilities, remote: Remote, call: Call, *,
              later: bool = False) -> Call:
    """Writes what was begun, at most `can.batch` of one operation; what is to be noted of it is in the result.
    `later`: not at once after it was begun."""
    try:
        if later:
            _begin_again(hub, call.intents)
        changes = [_change(plan, resource, send) for send in call.part]
        _write(hub, remote, resource, changes, range(len(changes)), call, whole=can.whole_batch)
    except Exception as fault:
        call.fault = fault
    return call


def note_call(hub: Hub, plan: IntoPlan, call: Call) -> list[Answered]:
    """Notes what the system said, also where the call ended with a fault, which is raised then: of a batch that was
    halved, some may have been written."""
    answered = _noted(hub, plan, call)
    if call.fault is not None:
        raise call.fault
    return answered


def _begin_again(hub: Hub, intents: Sequence[int]) -> None:
    """Before a write that comes some time after its intents: another process may lead by now, and look for the rows
    itself; while it does not, what it would wait for (`settle`) begins now."""
    intent = tables.intent
    with hub.small.begin() as connection:
        must_lead(connection)
        mine = intent.c.id == func.any(bindparam("mine", list(intents), ARRAY(BigInteger)))
        connection.execute(update(intent).where(mine).values(at=func.now()))


def _write(hub: Hub, remote: Remote, resource: Resource, changes: Sequence[Change], places: range, call: Call, *,
           whole: bool) -> None:
    """Writes the changes at these places; the call's receipts have what is known also when this raises."""
    told = remote.write(resource, [changes[place] for place in places])
    if not whole or len(places) == 1 or any(receipt.state != "refused" for receipt in told):
        call.receipts.update(zip(places, told, strict=True))
        return
    middle = len(places) // 2
    for half in (places[:middle], places[middle:]):
        _begin_again(hub, [call.intents[place] for place in half])
        _write(hub, remote, resource, changes, half, call, whole=True)


def _noted(hub: Hub, plan: IntoPlan, call: Call) -> list[Answered]:
    """Notes the receipts, links what was made, and drops the intents that have none."""
    part, intents, receipts = call.part, call.intents, call.receipts
    answered = [Answered(part[place], intents[place], receipt) for place, receipt in sorted(receipts.items())]
    unsent = [intent for place, intent in enumerate(intents) if place not in receipts]
    taken = [one.as_sent() for one in answered if one.receipt.state == "delivered"]
    with hub.small.begin() as connection:
        _note(connection, [one.intent for one in answered], [one.receipt for one in answered])
        _note(connection, unsent, [Receipt("retry", code="not_sent")] * len(unsent), dropped=True)
        link_made(connection, plan, [send for send in taken if send.operation == "create"])
        agree_on(connection, plan, [send for send in taken if send.operation != "create"], call.run_id)
    return answered


def _change(plan: IntoPlan, resource: Resource, send: Send) -> Change:
    """The change as the connector takes it: a key is never changed, and given only where we number new rows."""
    keys = {str(column) for column in plan.into.key}
    ours = send.operation == "create" and plan.into.keyed.assigned == "crm"
    cells = {column: cell for column, cell in send.cells.items() if ours or column not in keys}
    if send.operation == "create":
        cells = {column: cell for column, cell in cells.items() if cell != ""}  # a new row begins with its own defaults
    return Change(send.operation, None if send.key is None else remote_key(send.key), cells, version=send.version,
                  expected=None if send.expected is None else {column: cell for column, cell in send.expected.items()
                                                               if column in cells},
                  reference=str(send.record_id) if send.operation == "create" and resource.reference else None,
                  back=send.back)


def _intend(connection: Connection, plan: IntoPlan, run_id: int, sends: Sequence[Send]) -> list[int]:
    rows = [{"feed": plan.feed, "record_id": send.record_id, "run_id": run_id, "operation": send.operation,
             "key": send.key, "values": send.cells, "version": send.version, "record": _as_sent(plan, send)}
            for send in sends]
    statement = insert(tables.intent).returning(tables.intent.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, rows))


def _as_sent(plan: IntoPlan, send: Send) -> dict[str, Any]:
    """The columns of the record that were sent, as JSON holds what PostgreSQL casts back."""
    columns = [column for item in plan.fields if item.name in send.fields for column in item.columns]
    return {column: as_json(send.values.get(column)) for column in columns}


def _note(connection: Connection, intents: Sequence[int], receipts: Sequence[Receipt], *, dropped: bool = False
          ) -> None:
    if intents:
        connection.execute(_answered(), {
            "numbers": list(intents), "states": ["dropped" if dropped else one.state for one in receipts],
            "codes": [one.code or None for one in receipts], "messages": [one.message or None for one in receipts],
            "keys": [None if one.key is None else joined_key(one.key) for one in receipts],
        })


@lru_cache(1)
def _answered() -> Update:
    table = tables.intent
    said = func.unnest(*[bindparam(f"{name}s", type_=ARRAY(kind)) for name, kind in _SAID.items()]).table_valued(
        *[column(name, kind) for name, kind in _SAID.items()], name="said").render_derived()
    return update(table).where(table.c.id == said.c.number).values(
        state=said.c.state, code=said.c.code, message=said.c.message, key=func.coalesce(said.c.key, table.c.key),
        answered_at=func.now())


_SAID: dict[str, type[BigInteger] | type[Text]] = {
    "number": BigInteger, "state": Text, "code": Text, "message": Text, "key": Text}
"""What is noted of an answer: the intent's number, and its columns."""
