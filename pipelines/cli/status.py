"""`navette status` and `navette trace`: how things stand, and what happened to one key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, settings, table
from pipelines.cli.lines import line
from pipelines.cli.sending import show_held
from pipelines.ops.sentences import said

if TYPE_CHECKING:
    from pipelines.ops.leaders import Leads
    from pipelines.ops.status import FlowStatus

CALLS = {
    "repeated": "came again", "signature": "refused for their signature", "time": "refused for their time",
    "flood": "refused as too many", "flow": "for no flow that takes them", "json": "refused as no JSON of rows",
    "key": "refused for their Idempotency-Key", "type": "refused as not declared as JSON", "oversize": "too large",
    "slow": "too slow",
}
"""What became of calls that were not kept as new ones (pipelines.http.receiving), as it is told."""
LATE = 4
"""Exit code of `--fail-on-late`."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(status)
    app.command()(trace)


def status(
    fail_on_late: Annotated[bool, typer.Option("--fail-on-late", help="Exit 4 when something is late.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show where every flow stands: last good run, next due, late, waiting files, open rejects and reviews; and who
    keeps each live system in step.

    Exit: 0; with --fail-on-late 4 when a flow is late.

    Examples:

      navette status
      navette status --json --fail-on-late
    """
    from pipelines.hub import open_hub
    from pipelines.ops.inbox import call_counts
    from pipelines.ops.leaders import leaders
    from pipelines.ops.status import status as status_of

    with errors_told(json):
        hub = open_hub(settings.project)
        flows, called, led = status_of(hub), call_counts(hub), leaders(hub)
        if json:
            answer({"late": [flow.flow for flow in flows if flow.is_late], "flows": [flow.as_json() for flow in flows],
                    "calls": [vars(count) for count in called], "live": [one.as_json() for one in led]})
        else:
            _show_status(flows)
            for one in led:
                line(_led(one))
            for count in called:
                who = count.system or "unknown systems"
                line(f"calls of {who}: {count.count:,} {CALLS[count.what]}, last {_when(count.last_at)}")
    raise typer.Exit(LATE if fail_on_late and any(flow.is_late for flow in flows) else 0)


def _show_status(flows: Sequence[FlowStatus]) -> None:
    from pipelines.ops.status import unnamed_of

    shown = table("flow", "last good run", "last run", "next due", "#files", "#rejected", "#parked", "#review",
                  "#conflicts",
                  "#to send", "#calls")
    for flow in flows:
        last = flow.last_run
        told = "never" if last is None else f"{last.run_id} {last.state}"
        shown.add_row(
            flow.flow, _when(flow.last_good.ended_at if flow.last_good else None) or "never",
            told if flow.activity == "idle" else flow.activity, _when(flow.next_due) or "·",
            *[f"{count:,}" if count else "·" for count in
              (len(flow.waiting), flow.rejected, flow.parked, flow.review, flow.conflicts,
               sum(flow.outgoing.values()), sum(flow.calls.values()))],
        )
    out.print(shown)
    for flow in flows:
        for told in flow.late:
            line(f"{flow.flow} is late: {told}")
        for gap in flow.gaps:
            line(f"{flow.flow}: {gap.sentence}")
        if last := flow.last_run:
            for told in last.notices:
                line(said("run_notice", flow=flow.flow, run=str(last.run_id), notice=told))
        if file := flow.file:
            line(said("status_file" if file.rows != 1 else "status_file_one", flow=flow.flow, name=file.name,
                      rows=file.rows, when=file.delivered_at))
        if flow.stuck:
            line(said("status_stuck" if flow.stuck != 1 else "status_stuck_one", flow=flow.flow, count=flow.stuck,
                      system=flow.system))
        show_held(flow.held)
        if failed := flow.calls.get("failed"):
            line(f"{flow.flow}: {failed} calls were not taken in; navette inbox list shows them")
        for run_id in flow.in_review:
            line(f"{flow.flow}: run {run_id} waits in review; navette review list tells why")
    for told in unnamed_of(flows):
        line(told)


def _led(one: Leads) -> str:
    """Who keeps a live system in step."""
    if one.led:
        who = "a process of another version" if one.pid is None else f"process {one.pid} on {one.host}"
        return f"{one.system} is kept live by {who}, since {_when(one.since)} (epoch {one.epoch})"
    last = f"; somebody did last from {_when(one.since)} on (epoch {one.epoch})" if one.epoch else ""
    return f"{one.system} is kept live by nobody{last}: navette live does, or navette up"


def _when(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def trace(
    system: Annotated[str, typer.Argument(help="A system of systems.yaml.")],
    key: Annotated[str, typer.Argument(help="An id of that system; of a composite key, one part is enough.")],
    json: JsonFlag = False,
) -> None:
    """Show what happened to a key: its record, and every row, outcome, change and reject of it, in order of time.

    Exit: 0, or 1 for a key that nobody knows.

    Examples:

      navette trace sage C0042
      navette trace sage C0042 --json
    """
    from pipelines.cli.traced import show_trace
    from pipelines.hub import open_hub
    from pipelines.ops.trace import trace as trace_key

    with errors_told(json):
        found = trace_key(open_hub(settings.project), system, key)
        answer(found.as_json()) if json else show_trace(found)
