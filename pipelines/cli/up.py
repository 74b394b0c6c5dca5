"""`navette up`: Dagster and the reports, for people at a screen."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.console import errors_told, out, settings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(up)


def up(
    port: Annotated[int, typer.Option(help="Where Dagster's pages are; 0: any free port.")] = 3000,
    host: Annotated[str, typer.Option(help="Who may come: 127.0.0.1 is this machine alone. There is no login.")]
    = "127.0.0.1",
    reports_port: Annotated[int | None, typer.Option(
        help="Where the reports are, on this machine alone; default: the next port.")] = None,
) -> None:
    """Start Dagster (graph, schedules, drop folders, checks) and the page of reports; Ctrl-C stops them.

    Exit: 0 stopped, 1 configuration, 4 a process ended by itself.

    Examples:

      navette up
      navette --project crm up --port 3100
    """
    from pipelines.orchestration.up import stay_up

    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False, soft_wrap=True)

    with errors_told():
        second = reports_port if reports_port is not None else port + 1 if port else 0
        stay_up(settings.project, host=host, port=port, reports_port=second, say=say)
