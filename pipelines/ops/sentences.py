"""Whole sentences of pages and commands, by name, so that another language is another dictionary.

Why a row is held is told by mappings.messages; here is what is told about runs and flows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

SENTENCES: dict[str, str] = {
    # the guard
    "guard_passed": "The guard let this run pass.",
    "guard_unasked": "These rows were admitted again; the guard is for files.",
    "guard_asks": "This run waits: the guard found it far outside what is usual. Nothing has changed.",
    "guard_rejects": "{into}: {count} of {of} rows were rejected; the guard allows {limit}.",
    "guard_creates": "{into}: {count} records would be new, beside {of} known before; the guard allows {limit}.",
    "guard_updates": "{into}: {count} of {of} entries would change; the guard allows {limit}.",
    "guard_archives": "{into}: {count} of {of} entries are absent from the file; the guard allows {limit}.",
    "guard_empty": "{into}: the source holds no row at all, and {of} entries were known before.",
    "guard_late": "The store refused rows while the run was applied, after the guard had looked; every other row was"
    " taken in.",
    "guard_none": "none",
    "guard_waits": "run {run} waits in review: {why}",
    "guard_settle": "navette review settle {run} --approve applies it, navette review settle {run} --refuse drops it.",
    "run_refused": "This run was refused; nothing of it was applied.",
    "run_failed": "This run failed: {message}",
    "run_notice": "{flow} run {run}: {notice}",
    "guard_updates_sent": "{into}: {count} records would change there, beside {of} known; the guard allows {limit}.",
    "guard_creates_sent": "{into}: {count} records would be made there, beside {of} known; the guard allows {limit}.",
    "guard_archives_sent": "{into}: {count} of {of} records would be archived or deleted there; the guard allows"
    " {limit}.",
    "guard_updates_file": "{into}: {count} records would change there, beside {of} known; the guard allows {limit}.",
    "guard_rejects_file": "{into}: {count} of {of} records cannot be written; the guard allows {limit}.",
    "guard_archives_file": "{into}: the file would hold {count} records fewer than the {of} of the last one that held"
    " everything; the guard allows {limit}.",
    "guard_empty_file": "{into}: the file would hold no record at all, and the last one that held everything had {of}.",
    "guard_unseen_sent": "{into}: {count} records would be made there, and this flow has not read yet what is there.",
    "guard_sends_none": "{flow}: nothing was sent: {why}",
    "guard_look": "navette run {flow} reads it, and navette adopt {flow} only links it; navette push {flow} --approve"
    " makes them unseen.",
    "guard_send": "navette push {flow} --approve sends it.",
    # a file that comes again
    "file_again": "{file} holds what run {run} read last; it was not read again, and lies at {path}.",
    "file_again_changed": "{file} holds what run {run} read last; it was not read again, and lies at {path}. The"
    " mapping has changed since: navette run {flow} --file {path} reads it under the new one.",
    "guard_send_everything": "navette push {flow} --everything --approve sends it.",
    # what check refuses
    "flow_mistake": "navette check finds a mistake, and the flow does not run before it is corrected:",
    "flow_mistakes": "navette check finds {count} mistakes, and the flow does not run before they are corrected:",
    # a run's page
    "run_title": "Run {run} of {flow}",
    "runs_title": "Runs",
    "runs_shown": "The last {count} runs that have a page.",
    "read_from": "{rows} rows read from {source}, {when}, in {seconds} s.",
    "read_from_one": "One row read from {source}, {when}, in {seconds} s.",
    "read_full": "Read as everything there is: what is absent counts as gone.",
    "read_changes": "Read as changes: what is absent says nothing.",
    "by_cause": "Rows that were not taken in, by cause",
    "all_taken": "Every row was taken in or left out by the mapping.",
    "cause_rows": "{count} rows ({outcome}), lines {first} to {last}",
    "cause_row": "one row ({outcome}), line {first}",
    "cause_unplaced": "{count} rows ({outcome})",
    "samples_shown": "{shown} of them:",
    "all_shown": "All of them:",
    "conflicts_title": "Both sides had a value of their own",
    "never_agreed": "none: they first met",
    "conflicts_shown": "{shown} of {count} fields that had changed on both sides, or differed when they first met.",
    "won_crm": "the CRM's value stands",
    "won_remote": "the row's value stands",
    "won_open": "nobody has decided yet",
    "detected_title": "What the mapping left open and the file told",
    "detected_pin": "Pin it in the flow's `read: format:` where it must not change.",
    "no_causes_more": "{count} further causes are in {file}.",
    # a preview
    "preview_row": "row {key} ({into}, record {record}): {outcome}",
    "preview_row_new": "row {key} ({into}): {outcome}",
    "preview_held": "Rows that would not be taken in, by cause",
    "preview_more": "and {count} more",
    "preview_conflicts": "{into}: fields that have changed on both sides, or differ where records first meet: {count}",
    "preview_conflict_crm": "{field}: {ours} here, {theirs} there; the CRM's value stands",
    "preview_conflict_remote": "{field}: {ours} here, {theirs} there; the row's value stands",
    "preview_conflict_open": "{field}: {ours} here, {theirs} there; nobody has decided yet",
    # what to do with held rows
    "do_rejected": "navette rejects export {flow} writes the rejected rows as a file to correct;"
    " navette rejects replay {flow} admits them again after the mapping was put right.",
    "do_parked": "Parked rows come in by themselves when what they wait for has come.",
    "do_review": "navette review list shows what is to be decided.",
    # status
    "no_folder": "the drop folder {folder} does not exist; create it",
    "unnamed": "no flow names these files of {system}, so nobody reads them: {files}",
    "unnamed_many": "no flow names these files of {system}, so nobody reads them: {files} and {more} more",
    "late_file": "no file has come that was expected by {time}",
    "late_series": "no file of {series} has come that was expected by {time}",
    "late_missed_one": "{name} waits since before the run that was due {when}",
    "late_missed": "{count} files wait since before the run that was due {when}",
    "late_failed": "the last run failed: {message}",
    "status_file": "{flow}: the last file is {name}, of {when}, with {rows} records",
    "status_file_one": "{flow}: the last file is {name}, of {when}, with one record",
    "status_stuck": "{flow}: {count} records were not taken by {system}; navette outbox {flow} tells why",
    "status_stuck_one": "{flow}: one record was not taken by {system}; navette outbox {flow} tells why",
    "gap": "missing: {missing}",
    "gap_series": "missing of {series}: {missing}",
    "gap_many": "missing: {missing} and {more} more",
    "gap_series_many": "missing of {series}: {missing} and {more} more",
    # held rows, and conflicts
    "replay_of": "replay of {count} rows",
    "replay_of_one": "replay of one row",
    "retry_of": "retry of {count} rows",
    "retry_of_one": "retry of one row",
    "settle_of": "settle of {count} rows",
    "settle_of_one": "settle of one row",
    "dismissed": "{count} rows dismissed",
    "dismissed_one": "one row dismissed",
    "review_conflict": "{field}: {ours} here, {theirs} in {flow} ({key}), {base} when they last agreed",
    "review_met": "{field}: {ours} here, {theirs} in {flow} ({key}) when they first met; nothing was agreed before",
    # exports
    "exported": "{count} rows: {path}",
    "exported_one": "one row: {path}",
    "export_of_system": "this is a list to look at: what {system} says is put right there, and read again by itself",
    "export_name": "the rows of {path} belong to {parts}, which the flow takes from the file's name: give it a name"
    " such as {name} before it is read",
    # a flow's lock
    "waits_for_flow": "flow {flow}: another run of it is under way; waiting for it to end",
    # the outbox
    "outbox_more": "{shown} of {count} records are shown; --limit 0 shows all",
    # trace
    "trace_entry": "{key} of {system} ({space}) is {entity} {record}, since {since}",
    "trace_entry_absent": "{key} of {system} ({space}) is {entity} {record}, since {since}; absent since {absent}",
    "trace_difference": "{flow} differs in {column}: {record} here, {base} when both sides agreed, {remote} there",
    "trace_elsewhere": "{entity} {record} is also {key} of {system} ({space})",
    "trace_linked": "{flow}: {key} became {entity} {record_id}",
    "trace_held": "{flow}: row {id} ({into} {key}) was {outcome}, last by run {run} at {where}; it is {state} now",
    "trace_closed": "{flow} run {run}: row {id} was closed by a later row",
    "trace_closed_again": "{flow} run {run}: row {id} was admitted again, and taken in",
    "trace_closed_link": "{flow} run {run}: row {id} was settled by {by}: it is {entity} {record}",
    "trace_closed_create": "{flow} run {run}: row {id} was settled by {by}: it is a new {entity}",
    "trace_closed_person": "{flow}: row {id} was settled by {by}: {what}",
    "trace_dismissed": "{flow}: row {id} was dismissed by {by}",
    "trace_conflict_crm": "{flow} run {run}: {field} had changed on both sides; the CRM's {ours} stands, not {theirs}",
    "trace_conflict_remote": "{flow} run {run}: {field} had changed on both sides; {theirs} stands, not the CRM's"
    " {ours}",
    "trace_conflict_open": "{flow} run {run}: {field} had changed on both sides, {ours} here and {theirs} there;"
    " nobody has decided",
    "trace_conflict_settled": "{flow} run {run}: {field} had changed on both sides, {ours} here and {theirs} there",
    "trace_met_crm": "{flow} run {run}: each side brought a value of {field} when they first met; the CRM's {ours}"
    " stands, not {theirs}",
    "trace_met_remote": "{flow} run {run}: each side brought a value of {field} when they first met; {theirs} stands,"
    " not the CRM's {ours}",
    "trace_met_open": "{flow} run {run}: each side brought a value of {field} when they first met, {ours} here and"
    " {theirs} there; nobody has decided",
    "trace_met_settled": "{flow} run {run}: each side brought a value of {field} when they first met, {ours} here and"
    " {theirs} there",
    "trace_settled_crm": "{by} decided on {field}: {ours} stands",
    "trace_settled_remote": "{by} decided on {field}: {theirs} stands",
    "trace_agreed": "{flow} run {run}: {field} is no longer disputed; {value} stands",
    "trace_journal_create": "{system} created {entity} {record_id} (run {run})",
    "trace_journal_create_person": "{author} created {entity} {record_id}",
    "trace_journal_update": "{system} changed {entity} {record_id} (run {run})",
    "trace_journal_update_person": "{author} changed {entity} {record_id}",
    "trace_became": "{predecessor_entity} {predecessor} became {successor_entity} {successor}",
}


def said(name: str, /, **params: Any) -> str:
    """The sentence `name`; numbers with thousands, times to the minute."""
    return SENTENCES[name].format_map({key: shown(value) for key, value in params.items()})


def shown(value: Any) -> Any:
    """A value as people read it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        with suppress(OverflowError, ValueError):  # in the first and last hours of the calendar, where clocks here end
            value = value.astimezone()
        return value.strftime("%Y-%m-%d %H:%M")
    return value


def guard_lines(tripped: Sequence[Mapping[str, Any]], of: Literal["run", "sent", "file"] = "run") -> list[str]:
    """A sentence for each thing that the guard tripped on (`sync.run.problem`, key `tripped`); `of`: a run that reads,
    a push to a system, or one that writes a file."""
    suffix = "" if of == "run" else f"_{of}"
    return [
        said(f"guard_{trip['what']}{suffix}", into=trip["into"], count=trip["count"], of=trip["of"],
             limit=f"{trip['limit'] * 100:.6g}%" if trip["limit"] else said("guard_none"))
        for trip in tripped
    ]


def held_lines(flow: str, problem: Mapping[str, Any] | None) -> list[str]:
    """Why a push of the flow sent nothing (`sync.run.problem`), and behind that what to do; none for one that sent."""
    if not problem or "sent" not in problem:
        return []
    tripped = problem["tripped"]
    unseen = any(trip["what"] == "unseen" for trip in tripped)
    whole = problem["sent"] == "file" and problem["full"]
    todo = "guard_look" if unseen else "guard_send_everything" if whole else "guard_send"
    told = [said("guard_sends_none", flow=flow, why=why) for why in guard_lines(tripped, problem["sent"])]
    return [*told, said(todo, flow=flow)]
