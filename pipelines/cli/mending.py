"""`navette reconcile`, `link`, `unlink`, `merge`, `undo`: where both sides differ, and the crosswalk mended by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, progress_shown, settings, table
from pipelines.cli.lines import BIGGEST, line

if TYPE_CHECKING:
    from pipelines.ops.mending import Mended
    from pipelines.runs.reconcile import Reconciled

Into = Annotated[str | None, typer.Option("--into", help="Which into of the flow, where it has several.")]
Why = Annotated[str | None, typer.Option("--why", help="Kept with it.")]
CAUSES = {
    "only_there": "a row there that is no record here", "not_linked": "a row there that fits a record by a match rule",
    "held": "a row there that cannot be read, or waits for a person",
    "superseded": "another row there has the same key, and counts instead: read a key or a query with one row each",
    "gone_there": "linked, and gone there",
    "never_sent": "may be made there, and was not sent yet", "conflict": "both sides changed: navette review list",
    "refused": "sent, and refused there", "unclear": "sent, and the answer was lost",
    "not_agreed": "different when they first met", "newer_there": "changed there, not read yet",
    "drift": "changed here although the system masters it", "pending": "changed here, not sent yet",
    "override": "kept here although the system masters it (lock: false)",
    "other_row": "the record has what another of its rows there said last",
    "stored_otherwise": "the system cut or reformatted what was sent",
    "left_out": "changed here, and write.when does not name the record",
    "not_sent": "another value here, which this flow does not send",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (reconcile, link, unlink, merge, undo):
        app.command()(command)


def reconcile(
    flow: str,
    repair: Annotated[bool, typer.Option("--repair", help="Queue what the masters allow to be put right.")] = False,
    limit: Annotated[int, typer.Option(help="How many differences to show; 0 for all.", min=0)] = 100,
    json: JsonFlag = False,
) -> None:
    """Compare everything that the flow's system has with the CRM, and list the differences with their cause.

    Nothing is changed on either side; with --repair markers are queued for what may be sent, and the next run reads
    everything for what may be taken. Exit: 0 nothing differs but what is known and stays (override, other_row,
    stored_otherwise, left_out), 1 configuration, 4 differences, or the system could not be read.

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
        flow = found.result.flow
        line(f"1 record queued: navette push {flow} looks at it" if found.queued == 1
             else f"{found.queued:,} records queued: navette push {flow} looks at them")
        line(f"1 row is taken in by the next navette run {flow}, or by navette live where it runs; either reads"
             " everything" if found.taken == 1 else f"{found.taken:,} rows are taken in by the next navette run {flow},"
             " or by navette live where it runs; either reads everything")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(part) for part in value if part is not None) or "∅"
    return "∅" if value is None else str(value)


def link(
    flow: str,
    key: Annotated[str, typer.Argument(help="The row's key in the flow's system, as `navette trace` shows it.")],
    record: Annotated[int, typer.Argument(help="The id of the record.", max=BIGGEST)],
    into: Into = None, why: Why = None, json: JsonFlag = False,
) -> None:
    """Say that a row of a system is this record; also which row a create made whose answer was lost.

    Fields on which both sides never agreed are decided by the next run, as the masters say. What `unlink` took away
    comes back as it was. Exit: 0 done, 1 it cannot be, 4 a run is still under way after
    half a minute.

    Example:

      navette link erp_customers 4711 1204 --why "confirmed by accounting"
    """
    from pipelines.hub import open_hub
    from pipelines.ops.mending import link as link_key

    with errors_told(json):
        _done(link_key(open_hub(settings.project), flow, key, record, into=into, why=why), json)


def unlink(flow: str, key: Annotated[str, typer.Argument(help="The row's key in the flow's system.")],
           into: Into = None, why: Why = None, json: JsonFlag = False) -> None:
    """Say that a row of a system is not the record it is linked to.

    The next run that reads the row decides anew, by the match rules. Exit: 0 done, 1 it is not linked, 4 a run is still
    under way after half a minute.

    Example:

      navette unlink erp_customers 4711
    """
    from pipelines.hub import open_hub
    from pipelines.ops.mending import unlink as unlink_key

    with errors_told(json):
        _done(unlink_key(open_hub(settings.project), flow, key, into=into, why=why), json)


def merge(
    entity: str,
    loser: Annotated[int, typer.Argument(help="The record that goes into the other, and is archived.", max=BIGGEST)],
    winner: Annotated[int, typer.Argument(help="The record that stays.", max=BIGGEST)],
    why: Why = None, json: JsonFlag = False,
) -> None:
    """Make two records one: keys and links of the loser go to the winner; nothing is deleted.

    Exit: 0 done, 1 it cannot be, 4 a run is still under way after half a minute.

    Example:

      navette merge company 1377 1204 --why "the same firm, entered twice"
    """
    from pipelines.hub import open_hub
    from pipelines.ops.merging import merge as merge_records

    with errors_told(json):
        _done(merge_records(open_hub(settings.project), entity, loser, winner, why), json)


def undo(
    number: Annotated[int | None, typer.Argument(help="What to undo; none: list what was mended.", max=BIGGEST)] = None,
    json: JsonFlag = False,
) -> None:
    """Undo a link, unlink or merge by its number; without one, list what was mended by hand.

    Exit: 0 done, 1 it cannot be undone, 4 a run is still under way after half a minute.

    Examples:

      navette undo
      navette undo 12
    """
    from pipelines.hub import open_hub
    from pipelines.ops.mending import mended
    from pipelines.ops.undoing import undo as undo_mended

    with errors_told(json):
        hub = open_hub(settings.project)
        if number is not None:
            _done(undo_mended(hub, number), json)
            return
        found = mended(hub)
        if json:
            answer({"mended": [one.as_json() for one in found]})
            return
        for one in found:
            line(f"{_sentence(one)}, by {one.by} at {one.at:%Y-%m-%d %H:%M}" + (f": {one.why}" if one.why else ""))
        if not found:
            line("nothing was mended by hand")


def _done(told: Mended, json: bool) -> None:
    if json:
        answer(told.as_json())
        return
    line(_sentence(told))
    if told.undone_at is None:
        line(f"  -> navette undo {told.id} puts it back")


def _sentence(one: Mended) -> str:
    if one.what == "merge":
        said = f"{one.entity} {one.other_id} merged into {one.record_id}"
    else:
        way = "to" if one.what == "link" else "from"
        said = f"{one.flow}: {one.key} {one.what}ed {way} {one.entity} {one.record_id}"
    return f"{one.id}: {said}" + (f" (undone by {one.undone_by})" if one.undone_at else "")
