"""`navette push`, `outbox`, `adopt`, `rebase`, `pause` and `resume`: the way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, progress_shown, settings, table
from pipelines.cli.lines import line
from pipelines.ops.sentences import said

if TYPE_CHECKING:
    from pipelines.runs.push_result import PushResult

State = Literal["waiting", "sending", "refused", "unclear", "all"]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (push, outbox, adopt, rebase, pause, resume):
        app.command()(command)


def push(
    flow: Annotated[str | None, typer.Argument(help="The flow; none: every flow that has something to send.")] = None,
    everything: Annotated[bool, typer.Option(
        "--everything", help="Queue every record first: for a system that is filled for the first time. To a folder: "
                             "a file of everything.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Send also what the flow's guard asks about.")] = False,
    json: JsonFlag = False,
) -> None:
    """Send what the outbox holds to the flow's system; to a folder, one file of it.

    Exit: 0 done (what was refused is in `navette outbox`), 1 configuration, 3 far more than usual (--approve sends it),
    4 the system could not be reached.

    Examples:

      navette push
      navette push erp_customers --json
      navette push erp_customers --everything
    """
    from mappings.errors import ConfigurationError
    from pipelines.hub import open_hub
    from pipelines.ops.outgoing import queue_everything
    from pipelines.runs.pushing import push_all, push_flow, writes_files

    with errors_told(json):
        hub = open_hub(settings.project)
        if flow is None and (everything or approve):
            raise ConfigurationError("which flow?",
                                     todo=f"navette push FLOW {'--everything' if everything else '--approve'}")
        if flow is not None and everything and not writes_files(hub, hub.flow(flow)):
            queue_everything(hub, flow)
        with progress_shown(flow or "all flows", quiet=json) as progress:
            results = push_all(hub, progress) if flow is None else [
                push_flow(hub, flow, progress, full=everything, approved=approve)]
        if json:
            told = [result.as_json() for result in results]
            answer(told[0] if flow is not None else {"pushes": told})
        else:
            show_pushes(results)
    raise typer.Exit(max((result.exit_code for result in results), default=0))


def show_pushes(results: Sequence[PushResult]) -> None:
    """What was sent, and what was not and why."""
    if not results:
        out.print("nothing is due")
        return
    names = ["created", "updated", "archived", "deleted", "unchanged", "refused", "waiting", "unclear"]
    if any(result.files is not None for result in results):
        names.insert(0, "written")
    shown = table("flow", "system", *[f"#{name}" for name in names], "#s")
    for result in results:
        shown.add_row(result.flow, result.system, *[f"{result.counts[name] or '·'}" for name in names],
                      f"{result.seconds:.1f}")
    out.print(shown)
    for result in results:
        if result.problem:
            line(f"{result.flow}: {result.problem}")
        if result.files is not None:
            line(f"{result.flow}: " + (f"wrote {', '.join(result.files)}" if result.files else "wrote no file"))
        show_held(result.held)
        if result.counts["refused"] or result.counts["unclear"]:
            line(f"{result.flow}: navette outbox {result.flow} tells what was not taken, and why")


def show_held(told: Sequence[str]) -> None:
    """Why a push sent nothing, and what to do."""
    for why in told[:-1]:
        line(why)
    for todo in told[-1:]:
        line(f"  -> {todo}")


def outbox(
    flow: Annotated[str | None, typer.Argument(help="Only this flow's records.")] = None,
    state: Annotated[State, typer.Option(help="Only records in this state.")] = "all",
    limit: Annotated[int, typer.Option(help="How many at most; 0 for all.", min=0)] = 100,
    json: JsonFlag = False,
) -> None:
    """List the records that systems still have to receive, and what keeps each.

    Examples:

      navette outbox
      navette outbox erp_customers --state refused --json
    """
    from pipelines.hub import open_hub
    from pipelines.ops.outgoing import STATES, counts, held, outgoing, standings

    with errors_told(json):
        hub = open_hub(settings.project)
        states = STATES if state == "all" else (state,)
        found = outgoing(hub, flow, states, limit or None)
        systems = [standing for standing in standings(hub) if standing.state != "up"]
        waits = {name: told for name, told in held(hub).items() if flow in (None, name)}
        if json:
            answer({"counts": counts(hub), "records": [one.as_json() for one in found],
                    "held": waits, "systems": [vars(standing) for standing in standings(hub)]})
            return
        shown = table("flow", "entity", "#record", "state", "#tries", "why")
        for one in found:
            shown.add_row(one.flow, one.entity, str(one.record_id), one.state, str(one.tries or "·"), one.why)
        out.print(shown if found else "nothing is to be sent")
        count = sum(by_state.get(one, 0) for name, by_state in counts(hub).items() if flow in (None, name)
                    for one in states)
        if len(found) < count:
            line(said("outbox_more", shown=len(found), count=count))
        for told in waits.values():
            show_held(told)
        for standing in systems:
            line(f"{standing.system} is {standing.state}: {standing.why}")


def adopt(flow: str, json: JsonFlag = False) -> None:
    """Link everything that the flow's system has with what the CRM has; write nothing on either side.

    What fits no record waits (in review) for the next run, which reads everything and decides what differs, as the
    masters say.

    Example:

      navette adopt erp_customers
    """
    from pipelines.cli.running import show_results
    from pipelines.hub import open_hub
    from pipelines.runs.intake import adopt_flow

    with errors_told(json):
        hub = open_hub(settings.project)
        with progress_shown(flow, quiet=json) as progress:
            result = adopt_flow(hub, flow, progress)
        show_results(flow, [result], json)
    raise typer.Exit(result.exit_code)


def rebase(
    flow: str,
    supersede: Annotated[bool, typer.Option("--supersede", help="Drop a run of it that waits in review.")] = False,
    json: JsonFlag = False,
) -> None:
    """Read everything again after the flow's mapping changed, and agree on it anew; nothing is sent.

    Needed when a field was added, or is read otherwise (another codec, other code values): a plain run would take every
    row that reads otherwise for an edit there, and send the CRM's value back wherever the CRM or another system is
    master. What has no base yet is decided by its master; what differs from an older reading is taken where the system
    may set it, and else noted as what the system holds. Run the flow before the change, so that no real edit is missed.

    Exit: 0 done, 1 configuration, 3 waits in review, 4 failed.

    Example:

      navette run erp_customers && vi mappings/flows/erp_customers.yaml && navette rebase erp_customers
    """
    from pipelines.cli.running import show_results
    from pipelines.hub import open_hub
    from pipelines.runs.intake import rebase_flow

    with errors_told(json):
        hub = open_hub(settings.project)
        with progress_shown(flow, quiet=json) as progress:
            result = rebase_flow(hub, flow, supersede=supersede, progress=progress)
        show_results(flow, [result], json)
    raise typer.Exit(result.exit_code)


def pause(system: str, why: Annotated[str, typer.Option(help="For those who wonder.")] = "paused by hand") -> None:
    """Stop calling a system: nothing is read from it or sent to it until `navette resume`.

    Example:

      navette pause erp --why "moving to the new server"
    """
    from pipelines.hub import open_hub
    from pipelines.runs.standing import pause as pause_system

    with errors_told():
        pause_system(open_hub(settings.project), system, why)
        out.print(f"{system} is paused; what is to be sent to it waits", highlight=False)


def resume(system: str) -> None:
    """Call a system again that is paused, or that did not answer; what was to be sent to it later is due at once.

    Example:

      navette resume erp
    """
    from pipelines.hub import open_hub
    from pipelines.runs.standing import resume as resume_system

    with errors_told():
        resume_system(open_hub(settings.project), system)
        out.print(f"{system} is called again", highlight=False)
