"""The rows that a batch is about to write, as far as is known: read now, or as they were at the last agreement.

A row that was read and that no run could take in (refused, parked, left out) decides nothing. What was changed here
goes out all the same where the row has in these fields what both sides had agreed on; else it waits, and nothing is
written over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from connectors.page import Page
from connectors.remote import Capabilities
from mappings.codecs.keys import keys_of
from mappings.codecs.values import Codes
from mappings.codecs.written import field_cells
from mappings.language.flow import Flow
from mappings.language.strict import Column
from pipelines.hub import Hub
from pipelines.runs.attempt import attempt
from pipelines.runs.news import Seen
from pipelines.runs.result import RunResult
from pipelines.stages.agree import agree_on
from pipelines.stages.plan import FieldPlan, IntoPlan
from pipelines.stages.readable import read_cells
from pipelines.stages.sending import Send, encode, keys_known, updates
from pipelines.stages.unread import Entry, settle_unread, settle_untaken, strangers


@dataclass(frozen=True)
class Row:
    """A row by what a write of it may name: its version, and its cells by column; `images`, where it was not read: the
    record's columns as the system had them; `untaken`, where it was read and not taken in: what its base tells."""

    version: str | None
    cells: Mapping[str, str]
    images: Mapping[str, Any] | None = None
    untaken: Entry | None = None


Rows = dict[str, Row]
"""By key."""


def rows_of(page: Page, key: Sequence[Column], version: str | None) -> Rows:
    """The rows of a page; without the key, and the version where it is read."""
    keys = keys_of(page.frame, key, {}).tolist()
    left_out = {*map(str, key), version}
    cells = page.frame.drop(columns=[name for name in page.frame.columns if name in left_out]).to_dict("records")
    versions = [None] * len(keys) if version is None else page.frame[version].tolist()
    return {
        name: Row(said if isinstance(said, str) and said else None,
                  {str(column): cell for column, cell in row.items() if isinstance(cell, str)})
        for name, said, row in zip(keys, versions, cells, strict=True) if isinstance(name, str)
    }


def expected_of(send: Send, row: Row, can: Capabilities) -> dict[str, str] | None:
    """What the write of a row takes the place of, as far as the system wants to know. In a column that its versions
    leave out that is nothing where the CRM had agreed on nothing: a second phone that took the place of the first is
    not ours to write over."""
    if can.compares:
        return {name: row.cells[name] for name in send.cells if name in row.cells}
    beside = can.beside.intersection(send.cells, row.cells)
    return {name: "" if name in send.unset else row.cells[name] for name in beside} or None


def known_untaken(hub: Hub, plan: IntoPlan, result: RunResult, rows: Rows) -> tuple[Rows, set[str]]:
    """The rows that a run has just read, each that it could not take in with what its base tells; and the keys of those
    among these that nothing is known of."""
    counts = result.into.get(plan.label, {})
    if result.state == "done" and sum(counts[name] for name in ("created", "updated", "unchanged")) == len(rows):
        return rows, set()
    with hub.small.connect() as connection:
        untaken = attempt(connection, lambda: settle_untaken(connection, plan, result.run_id, list(rows)))
        lacking = strangers(connection, plan, [key for key in rows if key not in untaken])
    return {key: replace(row, untaken=untaken.get(key)) for key, row in rows.items()}, lacking


def end_gone(hub: Hub, flow: Flow, plan: IntoPlan, run_id: int, gone: Collection[int]) -> set[int]:
    """Of records whose rows are gone there, those that are archived here and whose rows were ended, or count as ended
    by now: nothing is left to be sent of them."""
    x, r = plan.crosswalk, plan.record
    with hub.small.begin() as connection:
        ended = [replace(send, fields=()) for send in updates(connection, plan, flow.write, list(gone))
                 if send.operation in ("archive", "delete")]
        agree_on(connection, plan, ended, run_id)
        done = select(x.c.record_id).join_from(x, r, r.c.id == x.c.record_id).where(
            x.c.feed == plan.feed, x.c.record_id.in_(gone), x.c.absent_since.is_not(None), r.c.archived_at.is_not(None))
        return {*connection.scalars(done), *[send.record_id for send in ended]}


def hold_back(plan: IntoPlan, sends: Sequence[Send], rows: Rows, codes: Codes) -> None:
    """Takes out of each send to a row that was not taken in the fields in which the row is not as both sides had
    agreed, and those of which that cannot be told."""
    by_name = {item.name: item for item in plan.fields}
    for send in sends:
        row = rows.get(send.key or "")
        if row is None or row.untaken is None:
            continue
        entry, plain = row.untaken, tuple(name for name in send.fields if by_name[name].reference is None)
        agreed = Send(entry.record_id, "update", entry.key, plain, entry.images)
        encode(plan, [agreed], codes)
        same = tuple(name for name in plain if _is_as_agreed(plan, by_name[name], agreed, row.cells, codes))
        for name in send.fields:
            if name not in same:
                send.held_back = {"code": "unread_there", "field": name}
        if send.held_back is not None and not same:
            send.fault = send.held_back
        send.fields = same


def _is_as_agreed(plan: IntoPlan, item: FieldPlan, agreed: Send, cells: Mapping[str, str], codes: Codes) -> bool:
    """Whether the row has in this field what both sides had agreed on, however it is written."""
    columns = [str(column) for column in field_cells(item.map)]
    if all(agreed.cells.get(column) == cells.get(column, "") for column in columns):
        return True
    reading = read_cells(plan, item, [cells], codes)
    return not reading.refused.any() and all(
        reading.columns[column][0].as_py() == agreed.values[column] for column in item.columns)


def known_unread(hub: Hub, flow: Flow, plan: IntoPlan, can: Capabilities, seen: Seen, records: Sequence[int],
                 changed: Collection[str]) -> tuple[dict[int, list[str]], Rows]:
    """The keys of these records, the primary ones first; and the rows that need not be read, none of `changed`.

    A row that has changed since is not lost: the system, which compares it with what is written over or with its last
    version, refuses the write, and it is read then.
    """
    compares = can.compares or (can.versions and bool(seen.versions))
    if not compares or flow.write.mode == "replace":
        with hub.ask.connect() as connection:
            return keys_known(connection, plan, records), {}
    with hub.ask.connect() as connection:
        entries = settle_unread(connection, plan, records, can.beside)
    known: dict[int, list[str]] = {}
    for entry in entries:
        known.setdefault(entry.record_id, []).append(entry.key)
    sure = [entry for entry in entries if entry.sure and entry.key not in changed]
    rows = _as_agreed(hub, plan, sure) if can.compares else {
        entry.key: Row(seen.versions[entry.key][1], {}, entry.images) for entry in sure if entry.key in seen.versions}
    return known, {key: rows[key] for every in known.values() if rows.keys() >= set(every) for key in every}


def _as_agreed(hub: Hub, plan: IntoPlan, entries: Sequence[Entry]) -> Rows:
    """The cells that the system has where what is pending is to be written, had nobody changed them."""
    images = [Send(entry.record_id, "update", entry.key, entry.pending, entry.images) for entry in entries]
    encode(plan, images, hub.project.codes)
    return {image.key: Row(None, image.cells, image.values) for image in images
            if image.key is not None and image.fault is None}
