"""`navette system`: the project's systems, and what their databases must record for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, settings, table
from pipelines.cli.lines import line

if TYPE_CHECKING:
    from pipelines.ops.systems import Preparation

group = typer.Typer(no_args_is_help=True, help="The project's systems.")


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="system")


@group.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the systems: connector, whether each is called, the flows that use it. None is called for it.

    Example:

      navette system list
    """
    from pipelines.hub import open_hub
    from pipelines.ops.systems import systems

    with errors_told(json):
        found = systems(open_hub(settings.project))
        if json:
            answer({"systems": [one.as_json() for one in found]})
            return
        shown = table("system", "connector", "state", "flows", "why")
        for one in found:
            flows = ", ".join(f"{name} ({direction})" for name, direction in one.flows.items())
            shown.add_row(one.name, one.connector, one.state, flows, one.why or "")
        out.print(shown, markup=False)


@group.command()
def prepare(
    system: str,
    yes: Annotated[bool, typer.Option("--yes", help="Run it without asking.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take it away again.")] = False,
    json: JsonFlag = False,
) -> None:
    """Let a system's database record its changes, so that deletes are seen and changes are told at once.

    Shows the SQL for every table that flows read, and asks before running it; an administrator may run it instead. With
    --json nothing is run unless --yes says so. Exit: 0 done or shown, 1 configuration, or a table that cannot be
    recorded, 4 the system does not answer.

    Examples:

      navette system prepare accounting
      navette system prepare accounting --undo --yes
    """
    from pipelines.hub import open_hub
    from pipelines.ops.systems import preparations

    with errors_told(json):
        hub = open_hub(settings.project)
        found = preparations(hub, system, undo=undo)
        wanted = any(one.statements for one in found)
        if not json:
            _show(system, found, undo)
        run = wanted and (yes or (not json and typer.confirm("run this?", default=False)))
        if run:
            found = preparations(hub, system, undo=undo, run=True)
        if json:
            answer({"system": system, "run": run, "resources": [one.as_json() for one in found]})
        elif wanted:
            line(f"{system}: {_said(found)}" if run else "nothing was run")
    raise typer.Exit(1 if any(one.problem for one in found) else 0)


def _show(system: str, found: list[Preparation], undo: bool) -> None:
    if not found:
        line(f"{system}: nothing is needed")
    for one in found:
        line(f"-- {one.resource}, read by {', '.join(one.flows)}")
        for statement in one.statements:
            line_by_line(statement)
        if one.problem:
            line(f"-- cannot be recorded: {one.problem}")
        elif not one.statements:
            line("-- nothing is recorded" if undo else "-- its changes are recorded already")


def line_by_line(statement: str) -> None:
    """A statement as it is to be run, whatever its line breaks."""
    for part in f"{statement.strip().rstrip(';')};".split("\n"):
        line(part)


def _said(found: list[Preparation]) -> str:
    return "; ".join(f"{one.resource}: {one.problem or 'done'}" for one in found)
