"""`navette serve`: systems call in, and applications read and write records, over HTTP."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import errors_told, out, settings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    port: Annotated[int, typer.Option(help="Where to listen; 0: any free port.")] = 8400,
    host: Annotated[str, typer.Option(help="Who may come: 127.0.0.1 is this machine alone.")] = "127.0.0.1",
    certificate: Annotated[Path | None, typer.Option(help="TLS: the certificate, with its chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS: its key (PEM).")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without TLS on an open network: a proxy encrypts.")] = False,
    most_bytes: Annotated[int, typer.Option(min=1024, max=64 << 20, help="The largest body.")] = 1 << 20,
) -> None:
    """Take in what systems say by calling (`/hooks/SYSTEM/FLOW`), and serve records to applications (`/crm/ENTITY`).

    Runs until it is interrupted (Ctrl-C, SIGTERM). docs/http.md says how to sign a call, and how to use the records.

    Exit: 0 interrupted, 1 configuration (a port that is taken, too).

    Examples:

      navette serve
      navette serve --host 0.0.0.0 --port 8443 --certificate crm.pem --key crm.key
    """
    from mappings.errors import ConfigurationError
    from pipelines.http.app import build_app
    from pipelines.http.serving import Place, server_of
    from pipelines.hub import open_hub

    with errors_told():
        hub = open_hub(settings.project)
        server = server_of(build_app(hub, most_bytes=most_bytes), Place(host, port, certificate, key, plain))
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise ConfigurationError(f"nobody can listen at {host}:{port}: {error.strerror}", where="navette serve",
                                     todo="give another --port or --host") from error
        at = listening.getsockname()
        scheme = "https" if certificate else "http"
        out.print(f"serving: {scheme}://{f'[{at[0]}]' if ':' in at[0] else at[0]}:{at[1]}", highlight=False)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: None)  # uvicorn ends in order, and then raises the signal once more
        server.run(sockets=[listening])
