"""`navette run` and `navette preview`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mappings.words import OUTCOMES
from pipelines.cli.console import JsonFlag, answer, errors_told, out, progress_shown, settings, table
from pipelines.cli.lines import line
from pipelines.cli.sending import show_pushes
from pipelines.ops.sentences import guard_lines, said
from pipelines.runs.result import EXIT_CODES, RunResult

if TYPE_CHECKING:
    from pipelines.hub import Hub

File = Annotated[Path | None, typer.Option("--file", "-f", help="Read this file, wherever it is, and leave it there.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(run)
    app.command()(preview)


def run(
    flow: Annotated[str | None, typer.Argument(help="The flow; none with --all.")] = None,
    file: File = None,
    full: Annotated[bool | None, typer.Option(
        "--full/--changes", help="The source holds everything, or only changes; default: as the flow says.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every flow, those first that others refer to.")] = False,
    supersede: Annotated[bool, typer.Option("--supersede", help="Drop a run of it that waits in review.")] = False,
    json: JsonFlag = False,
) -> None:
    """Run a flow: read its waiting files (or FILE) into the CRM store.

    A flow that also writes then sends what is due, as `navette push` does.

    Exit: 0 done, 1 configuration (what `navette check` refuses, too), 3 waits in review, or what is to be sent waits
    for --approve of `navette push`, 4 failed, or done but the store refused more rows than the guard allows.

    Examples:

      navette run sage_customers
      navette run sage_customers --file CLI_FR_20261122.csv --json
      navette run --all
    """
    from mappings.errors import ConfigurationError
    from pipelines.hub import open_hub
    from pipelines.runs.intake import run_all, run_flow

    with errors_told(json):
        hub = open_hub(settings.project)
        if all_ and (flow or file or supersede):
            raise ConfigurationError("--all runs every flow as it says itself",
                                     todo="name one flow, or --all alone or with --full or --changes")
        told: list[str] = []
        with progress_shown(flow or "all flows", quiet=json) as progress:
            if all_:
                results = run_all(hub, progress, tell=told.append, full=full)
            else:
                results = run_flow(hub, _wanted(flow), file=file, full=full, supersede=supersede, progress=progress,
                                   tell=told.append)
        show_results(flow, results, json, told)
        if flow and not results and not json:
            _tell_unnamed(hub, flow)
    raise typer.Exit(max((result.exit_code for result in results), default=0))


def preview(flow: str, file: File = None, full: Annotated[bool | None, typer.Option("--full/--changes")] = None,
            limit: Annotated[int, typer.Option(help="How many changed rows, held rows and sends to show.")] = 20,
            json: JsonFlag = False) -> None:
    """Show what a run would do: the same counters, and before and after of each field; writes nothing.

    Also what the file told of itself (encoding, delimiter, ...), which rows would be rejected, parked or left to a
    person and why, and both values of fields that have changed on both sides. Of a flow that writes also what would be
    sent: each cell as it is there, and as it would be. Exit: as `run`.

    Examples:

      navette preview sage_customers --file CLI_FR_20261122.csv
      navette preview erp_customers --limit 100
    """
    from pipelines.cli.previewed import show_preview
    from pipelines.hub import open_hub
    from pipelines.runs.preview import preview_flow

    with errors_told(json):
        hub = open_hub(settings.project)
        with progress_shown(flow, quiet=json) as progress:
            seen = preview_flow(hub, flow, file=file, full=full, limit=limit, progress=progress)
        if json:
            answer(seen.as_json())
        else:
            _table([seen.result])
            show_preview(seen)
    raise typer.Exit(seen.result.exit_code)


def _tell_unnamed(hub: Hub, name: str) -> None:
    """Files that lie in the drop folder and that nobody reads: most likely their names are not as the mapping says."""
    from mappings.language.file_pattern import parse_pattern
    from pipelines.runs.waiting import folder_of, unnamed

    flow = hub.flow(name)
    found = unnamed(hub, flow)
    if found and flow.read.files is not None:
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        line(f"  in {folder_of(hub, flow)} there are files that no flow names: {shown}")
        line(f"  -> this flow reads {flow.read.files}, such as {parse_pattern(flow.read.files).sample}")


def _wanted(flow: str | None) -> str:
    from mappings.errors import ConfigurationError

    if flow is None:
        raise ConfigurationError("which flow?", todo="navette run FLOW, or navette run --all")
    return flow


def show_results(flow: str | None, results: list[RunResult], json: bool, told: Sequence[str] = ()) -> None:
    """The answer of a command that ran something; `told`: sentences on what it did not run."""
    if json:
        whole = summed(flow, results)
        answer(whole | {"notices": [*whole["notices"], *told]})
        return
    if not results:
        out.print(f"{flow or 'all flows'}: no new file waits, nothing to do")
    else:
        _table(results)
        if pushes := [result.sent for result in results if result.sent and (result.sent.counts or result.sent.tripped)]:
            show_pushes(pushes)
    for sentence in told:
        line(sentence)


def summed(flow: str | None, results: list[RunResult]) -> dict[str, Any]:
    """One run as it is; several as one sum with `runs` beside it."""
    if len(results) == 1:
        return results[0].as_json()
    into: dict[str, dict[str, Any]] = {}
    for result in results:
        for label, counts in result.into.items():
            name = label if flow else f"{result.flow}.{label}"
            known = into.setdefault(name, {})
            for key, value in counts.items():
                known[key] = known.get(key, 0) + value if isinstance(value, int) else value
    worst = max(results, key=lambda result: (result.exit_code, EXIT_CODES[result.state]), default=None)
    return {
        "run_id": results[-1].run_id if results else None, "flow": flow,
        "state": worst.state if worst else "done", "seconds": round(sum(r.seconds for r in results), 3), "into": into,
        "runs": [result.as_json() for result in results], "notices": [],
    }


def _table(results: list[RunResult]) -> None:
    gone = [name for name in ("archived", "unlinked") if name == "archived" or any(
        counts[name] for result in results for counts in result.into.values())]
    shown = table("flow", "into", "state", "#read", *[f"#{name}" for name in (*OUTCOMES, *gone)], "#s")
    for result in results:
        for label, counts in result.into.items():
            shown.add_row(
                result.flow, label, result.state, f"{counts['rows_read']:,}",
                *[f"{counts[name]:,}" if counts[name] else "·" for name in (*OUTCOMES, *gone)],
                f"{result.seconds:.1f}",
            )
        if not result.into:
            shown.add_row(result.flow, "", result.state)
    out.print(shown)
    for result in results:
        for problem in problem_lines(result):
            out.print(problem, markup=False, highlight=False)
        if result.report:
            out.print(f"report: {result.report}", markup=False, highlight=False)


def problem_lines(result: RunResult) -> list[str]:
    """Why a run failed or waits, for people."""
    problem = result.problem or {}
    lines = list(result.notices)
    if problem.get("message"):
        where = f"{problem['where']}: " if problem.get("where") else ""
        head = f"run {result.run_id} {result.state}: " if result.run_id else ""
        lines.append(f"{head}{where}{problem['message']}")
        if problem.get("todo"):
            lines.append(f"  -> {problem['todo']}")
    tripped = problem.get("tripped", []) if result.state == "review" else []
    lines += [said("guard_waits", run=str(result.run_id), why=why) for why in guard_lines(tripped)]
    if tripped:
        lines.append(f"  -> {said('guard_settle', run=str(result.run_id))}")
    return lines
