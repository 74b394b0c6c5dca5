"""`navette review`: what waits for a person, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, progress_shown, settings
from pipelines.cli.lines import BIGGEST, line

if TYPE_CHECKING:
    from pipelines.ops.conflicts import OpenConflict, Side
    from pipelines.ops.reviews import WaitingRow, WaitingRun
    from pipelines.runs.settling_gone import Choice

group = typer.Typer(no_args_is_help=True, help="What waits for a person: runs, rows, conflicts.")

Why = Annotated[str | None, typer.Option("--why", help="Kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="review")


@group.command("list")
def list_(json: JsonFlag = False) -> None:
    """List runs, rows and conflicts that wait, with what there is to decide between.

    Example:

      navette review list
    """
    from pipelines.hub import open_hub
    from pipelines.ops.reviews import reviews

    with errors_told(json):
        waiting = reviews(open_hub(settings.project))
        if json:
            answer(waiting.as_json())
            return
        for run in waiting.runs:
            _run(run)
        for row in waiting.rows:
            _row(row)
        for conflict in waiting.conflicts:
            _conflict(conflict)
        if not waiting:
            line("nothing waits")


@group.command()
def settle(
    run: Annotated[int, typer.Argument(help="The number of a run that waits.", max=BIGGEST)],
    approve: Annotated[bool, typer.Option("--approve", help="Apply it, deciding again on what stands now.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="Drop it; nothing changes.")] = False,
    json: JsonFlag = False,
) -> None:
    """Apply or drop a run that waits in review. Exit: 0 applied or dropped, 1 configuration, 4 failed.

    Examples:

      navette review settle 12 --approve
      navette review settle 12 --refuse
    """
    from mappings.errors import ConfigurationError
    from pipelines.cli.running import show_results
    from pipelines.hub import open_hub
    from pipelines.runs.settling import settle_run

    with errors_told(json):
        if approve == refuse:
            raise ConfigurationError("apply it or drop it?", todo="--approve or --refuse")
        hub = open_hub(settings.project)
        with progress_shown(f"run {run}", quiet=json) as progress:
            result = settle_run(hub, run, approve, progress)
        show_results(result.flow, [result], json)
    raise typer.Exit(0 if result.state == "refused" and refuse else result.exit_code)


@group.command("row")
def row_(
    number: Annotated[int, typer.Argument(metavar="ID", help="A row's number, from `list`.", max=BIGGEST)],
    link: Annotated[int | None, typer.Option("--link", metavar="RECORD", help="It is this one.", max=BIGGEST)] = None,
    create: Annotated[bool, typer.Option("--create", help="It is a new record, whatever it looks like.")] = False,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="Drop it.")] = False,
    archive: Annotated[bool, typer.Option("--archive", help="Absent: archive its record.")] = False,
    unlink: Annotated[bool, typer.Option("--unlink", help="Absent: forget which record it was.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Absent: leave all as it is, and do not ask again.")] = False,
    json: JsonFlag = False,
) -> None:
    """Decide on one row: it is a record that exists, it is a new one, or it is dropped; of an absent one, what becomes
    of its record.

    Examples:

      navette review row 31 --link 1204
      navette review row 31 --create
      navette review row 32 --archive
    """
    from pipelines.cli.running import show_results
    from pipelines.hub import open_hub
    from pipelines.runs.settling import settle_row
    from pipelines.runs.settling_gone import settle_gone

    with errors_told(json):
        choice = _choice(archive, unlink, keep, other=link is not None or create or dismiss)
        if choice is not None:
            key = settle_gone(open_hub(settings.project), number, choice)
            answer({"row": number, "key": key, "settled": choice}) if json else line(f"row {number}: {_DONE[choice]}")
            return
        results = settle_row(open_hub(settings.project), number, link=link, create=create, dismiss=dismiss)
        if results or json:
            show_results(results[0].flow if results else None, results, json)
        else:
            line(f"row {number} dismissed")
    raise typer.Exit(max((result.exit_code for result in results), default=0))


_DONE: dict[Choice, str] = {
    "archive": "archived", "unlink": "unlinked", "keep": "kept as it is; it is asked about again when it has come back",
}


def _choice(archive: bool, unlink: bool, keep: bool, *, other: bool) -> Choice | None:
    from mappings.errors import ConfigurationError

    said: dict[Choice, bool] = {"archive": archive, "unlink": unlink, "keep": keep}
    chosen = [choice for choice, wanted in said.items() if wanted]
    if len(chosen) + other > 1:
        raise ConfigurationError("one decision, please", todo="--archive, --unlink or --keep of a row that is absent; "
                                 "--link RECORD, --create or --dismiss of another")
    return chosen[0] if chosen else None


@group.command()
def conflict(
    number: Annotated[int, typer.Argument(metavar="ID", help="A conflict's number, from `list`.", max=BIGGEST)],
    ours: Annotated[bool, typer.Option("--ours", help="The CRM's value stands.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="The system's value stands.")] = False,
    why: Why = None,
    json: JsonFlag = False,
) -> None:
    """Decide on a field that had changed on both sides, or differed when they first met.

    Examples:

      navette review conflict 7 --theirs
      navette review conflict 7 --ours --why "confirmed by telephone"
    """
    from mappings.errors import ConfigurationError
    from pipelines.hub import open_hub
    from pipelines.ops.conflicts import settle_conflict

    with errors_told(json):
        if ours == theirs:
            raise ConfigurationError("whose value stands?", todo="--ours (the CRM's) or --theirs (the system's)")
        side: Side = "ours" if ours else "theirs"
        settled = settle_conflict(open_hub(settings.project), number, side, why)
        if json:
            answer({"settled": side, "conflict": settled.as_json()})
        else:
            line(f"{settled.entity} {settled.record['id']} {settled.field}: {_value(getattr(settled, side))} stands")


def _run(run: WaitingRun) -> None:
    line(f"run {run.run_id} of {run.flow} waits: {run.source}")
    for sentence in (*run.sentences, *run.notices):
        line(f"    {sentence}")
    for label, counts in run.counts.items():
        line(f"    {label}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count))
    for cause in run.causes:
        line(f"    {cause.count:,} {cause.outcome}: {cause.sentence}")
    line(f"    -> navette review settle {run.run_id} --approve, or --refuse")


def _row(waiting: WaitingRow) -> None:
    from pipelines.ops.records import named

    row = waiting.row
    line(f"row {row.id} of {row.flow}.{row.into}, {row.key or 'no key'}, {row.where}")
    for cause in row.causes:
        line(f"    {cause.sentence}")
    for name, value in (row.raw or {}).items():
        if value:
            line(f"    {name}: {value}")
    for record in waiting.candidates:
        line(f"    {row.entity} {named(record if 'type' in record else None, record['id'])}")
    gone = any(cause.code == "gone" for cause in row.causes)
    choice = "--archive, --unlink or --keep" if gone else "--link RECORD, --create or --dismiss"
    line(f"    -> navette review row {row.id} {choice}")


def _conflict(conflict: OpenConflict) -> None:
    from pipelines.ops.records import named
    from pipelines.ops.sentences import said

    record = conflict.record
    line(f"conflict {conflict.id}: {conflict.entity} {named(record if 'type' in record else None, record['id'])}")
    told = {side: _value(getattr(conflict, side)) for side in ("ours", "theirs", "base")}
    line("    " + said("review_conflict" if conflict.based else "review_met", field=conflict.field, flow=conflict.flow,
                       key=conflict.key, **told))
    line(f"    -> navette review conflict {conflict.id} --ours, or --theirs")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(part) for part in value if part is not None) or "∅"
    return "∅" if value is None else str(value)
