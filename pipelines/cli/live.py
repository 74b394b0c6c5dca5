"""`navette live`: keeps systems in step within moments, until it is interrupted."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import datetime
from threading import Event, Thread
from typing import Annotated

import typer

from pipelines.cli.console import errors_told, out, settings, tell


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(live)


def live(
    system: Annotated[str | None, typer.Argument(help="Only this system; default: every one with live flows.")] = None,
    stand_by: Annotated[bool, typer.Option(
        "--stand-by", help="Where another process keeps a system live, wait to take over.")] = False,
) -> None:
    """Keep the CRM and its live systems in step within moments: read what changes, send what is due.

    Runs until it is interrupted (Ctrl-C, SIGTERM), and then ends what it is at. `navette up` does the same in Dagster.

    A system that refuses the login is paused, and waits for `navette resume`; the others go on.

    Exit: 0 interrupted, 1 configuration, 4 another process does it already.

    Examples:

      navette live
      navette live erp --stand-by
    """
    from mappings.errors import ConfigurationError, NavetteError
    from pipelines.hub import open_hub
    from pipelines.runs.live import keep_live

    with errors_told():
        hub = open_hub(settings.project)
        systems = [system] if system is not None else hub.project.live_systems
        if not systems:
            raise ConfigurationError("no flow is live", todo="say schedule: {live: true} in a flow")
    stop, failures = Event(), list[NavetteError]()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())

    def said(flow: str, counts: Counter[str]) -> None:
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        out.print(f"{datetime.now():%H:%M:%S} {flow}: {told}", markup=False, highlight=False)

    def keep(name: str) -> None:
        try:
            keep_live(hub, name, stop, said, stand_by=stand_by)
        except NavetteError as error:
            failures.append(error)
            stop.set()

    threads = [Thread(target=keep, args=(name,), name=f"live-{name}") for name in systems]
    out.print(f"live: {', '.join(systems)}", highlight=False)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):  # a bare join would keep signals waiting
        for thread in threads:
            thread.join(0.2)
    for error in failures:
        tell(error, json=False)
    raise typer.Exit(max((error.exit_code for error in failures), default=0))
