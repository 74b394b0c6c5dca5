"""A preview as lines: what the file told of itself, what would change, what would be held, what would be sent."""

from __future__ import annotations

from typing import Any

from pipelines.cli.lines import line
from pipelines.cli.rejects import cause_line
from pipelines.cli.traced import told
from pipelines.ops.samples import Sampled
from pipelines.ops.sentences import said
from pipelines.runs.preview import Preview


def show_preview(seen: Preview) -> None:
    """Prints everything but the counters."""
    _detected(seen.result.detected)
    for label, counts in seen.result.into.items():
        if counts["conflicts"]:
            line(said("preview_conflicts", into=label, count=counts["conflicts"]))
    for change in seen.changes:
        record = change["record_id"]
        line(said("preview_row_new" if record is None else "preview_row", key=change["key"], into=change["into"],
                  record=str(record), outcome=change["outcome"]))
        _moves(change["fields"])
        for name, each in change["conflicts"].items():
            line("    " + said(f"preview_conflict_{each['winner']}", field=name, ours=told(each["ours"]),
                               theirs=told(each["theirs"])))
    if seen.causes:
        line(said("preview_held"))
    for cause in seen.causes:
        _held(cause)
    if seen.due:
        line(f"{seen.due:,} records are due to be sent")
    for send in seen.sends:
        line(f"would {send['operation']} {send['key'] or 'a new row'} (record {send['record_id']})")
        _moves(send["cells"])
        if send["problem"]:
            line(f"    but: {send['problem']}")


def _detected(detected: dict[str, str]) -> None:
    if not detected:
        return
    line(said("detected_title"))
    for name, value in detected.items():
        line(f"    {name}: {value}")
    line(said("detected_pin"))


def _held(cause: Sampled) -> None:
    shown = cause.as_json()
    line(cause_line(cause.cause))
    if not shown["rows"]:  # of more causes than rows are shown
        line(f"           {cause.cause.sentence}")
        return
    for row in shown["rows"]:
        place = [f"line {row['line']}"] if row["line"] is not None else []
        line("           " + "  ".join([*place, *filter(None, [row["key"]]), row["sentence"]]))
    if shown["more"]:
        line("           " + said("preview_more", count=shown["more"]))


def _moves(fields: dict[str, Any]) -> None:
    for name, (before, after) in fields.items():
        line(f"    {name}: {told(before)} -> {told(after)}")
