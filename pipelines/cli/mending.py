"""`navette reconcile`: where both sides differ, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, progress_shown, settings, table
from pipelines.cli.lines import line

if TYPE_CHECKING:
    from pipelines.runs.reconcile import Reconciled

CAUSES = {
    "only_there": "a row there that is no record here", "not_linked": "a row there that fits a record by a match rule",
    "held": "a row there that cannot be read, or waits for a person", "gone_there": "linked, and gone there",
    "never_sent": "may be made there, and was not sent yet", "conflict": "both sides changed: navette review list",
    "refused": "sent, and refused there", "unclear": "sent, and the answer was lost",
    "not_agreed": "different when they first met", "newer_there": "changed there, not read yet",
    "drift": "changed here although the system masters it", "pending": "changed here, not sent yet",
    "override": "kept here although the system masters it (lock: false)",
    "stored_otherwise": "the system cut or reformatted what was sent",
    "not_sent": "another value here, which this flow does not send",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(reconcile)


def reconcile(
    flow: str,
    repair: Annotated[bool, typer.Option("--repair", help="Queue what the masters allow to be put right.")] = False,
    limit: Annotated[int, typer.Option(help="How many differences to show; 0 for all.", min=0)] = 100,
    json: JsonFlag = False,
) -> None:
    """Compare everything that the flow's system has with the CRM, and list the differences with their cause.

    Nothing is changed on either side; with --repair markers are queued for what may be sent, and the next run reads
    everything for what may be taken. Exit: 0 nothing differs but what is known and stays (override, stored_otherwise),
    1 configuration, 4 differences, or the system could not be read.

    Examples:

      navette reconcile erp_customers
      navette reconcile erp_customers --repair --json
    """
    from pipelines.hub import open_hub
    from pipelines.runs.reconcile import reconcile_flow

    with errors_told(json):
        hub = open_hub(settings.project)
        with progress_shown(flow, quiet=json) as progress:
            found = reconcile_flow(hub, flow, repair=repair, limit=limit, progress=progress)
        if json:
            answer(found.as_json())
        else:
            _show(found)
    raise typer.Exit(found.exit_code)


def _show(found: Reconciled) -> None:
    from pipelines.cli.running import problem_lines

    for told in [*problem_lines(found.result), *found.notices]:
        line(told)
    if found.result.problem:
        return
    if not found.totals:
        line(f"{found.result.flow}: both sides agree on {found.result.rows_read:,} rows")
        return
    shown = table("cause", "key", "#record", "field", "here", "there", "why")
    for one in found.differences:
        shown.add_row(one["cause"], one["key"] or "", str(one["record_id"] or ""), one["field"] or "",
                      _value(one["here"]) if one["field"] else "", _value(one["there"]) if one["field"] else "",
                      one["why"] or "")
    out.print(shown, markup=False)
    for cause, count in found.totals.items():
        line(f"{count:,} {cause}: {CAUSES[cause]}")
    if found.repaired:
        line(f"{found.queued:,} records queued: navette push {found.result.flow} looks at them")
        line(f"{found.taken:,} rows are taken in by the next navette run {found.result.flow}, which reads everything")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(part) for part in value if part is not None) or "∅"
    return "∅" if value is None else str(value)
