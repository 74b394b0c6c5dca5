"""A trace as lines: the record, then what happened, oldest first."""

from __future__ import annotations

from typing import Any

from mappings.words import AGAIN
from pipelines.cli.lines import line
from pipelines.ops.sentences import said, shown
from pipelines.ops.trace import Trace, Traced

_OWN = ("id", "created_at", "updated_at", "version")


def show_trace(found: Trace) -> None:
    """Prints it."""
    for entry in found.entries:
        name = "trace_entry_absent" if entry.absent_since else "trace_entry"
        line(said(name, key=entry.key, system=found.system, space=entry.id_space, entity=entry.entity,
                  record=str(entry.record_id), since=entry.since, absent=entry.absent_since))
    for record in found.records:
        line(f"{record['entity']} {record['id']}")
        for name, value in record["values"].items():
            if name not in _OWN:
                # A link is a number to be given to another command: plain, like its record's above.
                line(f"    {name}: {value if isinstance(value, int) else shown(value)}")
    for entry in found.entries:
        for each in entry.differences:
            line(said("trace_difference", flow=entry.flow, column=each.column, record=told(each.record),
                      base=told(each.base), remote=told(each.remote)))
    for other in found.elsewhere:
        line(said("trace_elsewhere", entity=other["entity"], record=str(other["record_id"]), key=other["key"],
                  system=other["system"], space=other["id_space"]))
    line("")
    for event in found.events:
        for told_line in event_lines(event):
            line(told_line)


def event_lines(event: Traced) -> list[str]:
    """One event: a line, and lines below it for what changed."""
    facts: dict[str, Any] = {name: told(value) for name, value in event.said.items()}
    name = "run_notice" if event.kind == "notice" else f"trace_{event.kind}"
    if event.kind == "journal":
        name = f"trace_journal_{event.said['op']}" + ("" if event.said["system"] else "_person")
    elif event.kind == "conflict":
        met = "conflict" if event.said["based"] else "met"
        name = f"trace_{met}_settled" if event.said["decision"] else f"trace_{met}_{event.said['winner']}"
    elif event.kind == "settled":
        name = "trace_agreed" if event.run_id else f"trace_settled_{event.said['winner']}"
    decision = event.said.get("decision") or {}
    if event.kind == "closed":
        name = _closed(event, decision)
    head = said(name, **(facts | {
        "flow": event.flow or "", "run": str(event.run_id or ""), "by": decision.get("by", ""),
        "what": decision.get("what", ""), "record": str(decision.get("record_id") or "")}))
    lines = [f"{shown(event.at)}  {head}"]
    if event.kind == "held":
        lines += [f"{' ' * 18}{sentence}" for sentence in event.said["causes"]]
    if event.kind == "journal":
        old, new = event.said["old"] or {}, event.said["new"] or {}
        lines += [f"{' ' * 18}{column}: {told(old.get(column))} -> {told(new.get(column))}"
                  for column in {**old, **new} if column not in _OWN and event.said["op"] == "update"]
    return lines


def _closed(event: Traced, decision: dict[str, Any]) -> str:
    """The sentence for what closed a row: a person, the row itself when it was admitted again, or a later one."""
    if event.run_id is None:
        return "trace_closed_person"
    if event.said["trigger"] == "settle" and decision.get("what") in ("link", "create"):
        return f"trace_closed_{decision['what']}"
    return "trace_closed_again" if event.said["trigger"] in AGAIN else "trace_closed"


def told(value: Any) -> str:
    """A value in a line; nothing is written as ∅."""
    if isinstance(value, list):  # as its parts are written, whatever type they have: [5.00, EUR]
        return f"[{', '.join(map(told, value))}]"
    return "∅" if value is None else str(value)
