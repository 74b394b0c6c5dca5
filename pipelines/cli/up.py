"""`navette up`: Dagster and the reports, for people at a screen, and what is served."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.console import errors_told, out, settings

SERVE_PORT = 8400
"""The same as without `up`."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(up)


def up(
    port: Annotated[int, typer.Option(help="Where Dagster's pages are; 0: any free port.")] = 3000,
    host: Annotated[str, typer.Option(help="Who may come: 127.0.0.1 is this machine alone. There is no login.")]
    = "127.0.0.1",
    reports_port: Annotated[int | None, typer.Option(
        help="Where the reports are, on this machine alone; default: the next port.")] = None,
    serve: Annotated[bool, typer.Option(
        help="Also run navette serve, where a flow takes calls or an application has a token.")] = True,
    serve_port: Annotated[int | None, typer.Option(
        help="Where it listens, on this machine alone; default: 8400, any free port with --port 0.")] = None,
) -> None:
    """Start Dagster (graph, schedules, drop folders, checks), the page of reports and navette serve; Ctrl-C stops them.

    Exit: 0 stopped, 1 configuration, 4 a process ended by itself.

    Examples:

      navette up
      navette --project crm up --port 3100 --serve-port 8500
      navette up --no-serve
    """
    from pipelines.orchestration.up import stay_up

    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False, soft_wrap=True)

    with errors_told():
        second = reports_port if reports_port is not None else port + 1 if port else 0
        third = serve_port if serve_port is not None else SERVE_PORT if port else 0
        stay_up(settings.project, host=host, port=port, reports_port=second, serve_port=third if serve else None,
                say=say)
