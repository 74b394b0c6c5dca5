"""`navette rejects`: why rows were refused, and what to do with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, progress_shown, settings
from pipelines.cli.lines import BIGGEST, line
from pipelines.ops.sentences import said

if TYPE_CHECKING:
    from pipelines.ops.held_rows import CauseGroup, HeldRow

group = typer.Typer(no_args_is_help=True, help="Rows that were refused: list, export, replay, dismiss.")

Held = Literal["rejected", "parked", "review", "all"]
OneFlow = Annotated[str | None, typer.Argument(metavar="[FLOW]", help="Only this flow's rows.")]
Ids = Annotated[list[int] | None, typer.Option("--id", metavar="N", help="Only this row; again for more.", max=BIGGEST)]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="rejects")


@group.command("list")
def list_(
    flow: OneFlow = None,
    rows: Annotated[bool, typer.Option("--rows", help="Single rows instead of causes.")] = False,
    outcome: Annotated[Held, typer.Option(help="Which held rows.")] = "rejected",
    limit: Annotated[int, typer.Option(help="With --rows: how many at most; 0 for all.", min=0)] = 100,
    json: JsonFlag = False,
) -> None:
    """List open rejects, grouped by cause with a sample of each; `--rows` lists single rows.

    Examples:

      navette rejects list
      navette rejects list sage_customers --rows --limit 20
      navette rejects list --outcome parked --json
    """
    from pipelines.hub import open_hub
    from pipelines.ops.rejects import HELD_OUTCOMES, open_causes, open_counts, open_rows

    with errors_told(json):
        hub = open_hub(settings.project)
        outcomes = HELD_OUTCOMES if outcome == "all" else (outcome,)
        counts = open_counts(hub, flow)
        if rows:
            found = open_rows(hub, flow, outcomes, limit or None)
            answer({"open": counts, "rows": [row.as_json() for row in found]}) if json else _show_rows(found)
        else:
            causes = open_causes(hub, flow, outcomes)
            answer({"open": counts, "causes": [cause.as_json() for cause in causes]}) if json else _show(causes)
        if not json:
            _others(counts, outcomes)


@group.command()
def export(
    flow: Annotated[str, typer.Argument(help="The flow whose rows are written.")],
    out_: Annotated[Path | None, typer.Option(
        "--out", "-o", metavar="FILE",
        help="The file to write, or a folder that exists; default: NAVETTE_HOME/exports.")] = None,
    outcome: Annotated[Literal["rejected", "parked", "review"], typer.Option(help="Which held rows.")] = "rejected",
    json: JsonFlag = False,
) -> None:
    """Write open rejects as a file in the source's own columns and dialect, with the reasons beside them.

    Correct it, then read it with `navette run FLOW --file FILE`, or drop it again.

    Examples:

      navette rejects export sage_customers --out corrections.csv
      navette rejects export sage_customers --outcome parked
    """
    from pipelines.hub import open_hub
    from pipelines.ops.export import export_held

    with errors_told(json):
        written = export_held(open_hub(settings.project), flow, out_, outcome)
        if json:
            answer({"rows": sum(each.rows for each in written), "files": [each.as_json() for each in written]})
        elif not written:
            out.print("nothing to export", highlight=False)
        for each in () if json else written:
            line(said("exported" if each.rows != 1 else "exported_one", count=each.rows, path=each.path))
            for note in each.notes:
                line(f"  {note}")


@group.command()
def replay(flow: OneFlow = None, ids: Ids = None, json: JsonFlag = False) -> None:
    """Admit rejected and parked rows again, after the mapping or the data was put right.

    Exit: 0 done, 1 configuration, 4 failed.

    Examples:

      navette rejects replay sage_customers
      navette rejects replay --id 12 --id 13
    """
    from pipelines.cli.running import show_results
    from pipelines.hub import open_hub
    from pipelines.ops.rejects import require_replayable
    from pipelines.runs.replay import admit_again

    with errors_told(json):
        hub = open_hub(settings.project)
        if flow is not None:
            hub.flow(flow)
        if ids:
            require_replayable(hub, ids)
        with progress_shown(flow or "replay", quiet=json) as progress:
            results = admit_again(hub, flow, ids or None, progress)
        if results or json:
            show_results(flow, results, json)
        else:
            out.print("no open row can be replayed", highlight=False)
    raise typer.Exit(max((result.exit_code for result in results), default=0))


@group.command()
def dismiss(
    ids: Ids = None,
    flow: Annotated[str | None, typer.Option("--flow", help="With --cause: the flow.")] = None,
    cause: Annotated[str | None, typer.Option("--cause", metavar="CODE", help="A code that `list` shows.")] = None,
    field: Annotated[str | None, typer.Option("--field", help="With --cause: only this field.")] = None,
    why: Annotated[str | None, typer.Option("--why", help="Kept with the rows.")] = None,
    json: JsonFlag = False,
) -> None:
    """Drop open rejects for good: single rows, or all that are held for one cause.

    Examples:

      navette rejects dismiss --id 12 --why "a test row"
      navette rejects dismiss --flow sage_customers --cause not_siret
    """
    from pipelines.hub import open_hub
    from pipelines.ops.rejects import dismiss as dismiss_rows

    with errors_told(json):
        count = dismiss_rows(open_hub(settings.project), ids=ids or (), flow=flow, cause=cause, field=field, why=why)
        told = said("dismissed" if count != 1 else "dismissed_one", count=count)
        answer({"dismissed": count}) if json else line(told)


def _show(causes: list[CauseGroup]) -> None:
    flow = ""
    for cause in sorted(causes, key=lambda cause: (cause.flow, -cause.count)):
        if cause.flow != flow:
            flow = cause.flow
            line(flow)
        line(cause_line(cause))
        line(f"           {cause.sentence}")


def cause_line(cause: CauseGroup) -> str:
    """How many rows are held for a cause, and where they stand."""
    at = "" if cause.first_line is None else f"  line {cause.first_line}" if cause.first_line == cause.last_line \
        else f"  lines {cause.first_line} to {cause.last_line}"
    named = f"{cause.code} {cause.field}".strip()
    return f"{cause.count:>9,}  {cause.outcome}  {cause.into}  {named}{at}"


def _show_rows(rows: list[HeldRow]) -> None:
    for row in rows:
        key = f" {row.key}" if row.key else ""
        line(f"{row.id}  {row.flow}.{row.into}{key}  {row.outcome}  {row.where}  (run {row.run_id})")
        for cause in row.causes:
            line(f"    {cause.code}: {cause.sentence}")
        if row.raw_text is not None:
            line(f"    {row.raw_text}")


def _others(counts: dict[str, int], shown: tuple[str, ...]) -> None:
    """What the list does not show must not go unseen."""
    if not any(counts[name] for name in shown):
        out.print("nothing is open", highlight=False)
    hints = {"rejected": "navette rejects list", "parked": "navette rejects list --outcome parked",
             "review": "navette review list"}
    for name, hint in hints.items():
        if name not in shown and counts[name]:
            line(f"{counts[name]:,} open: {name}; {hint}")
