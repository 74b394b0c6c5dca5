"""The command line's tree; each group of commands has a file of its own."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import settings

app = typer.Typer(
    name="navette", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keeps a CRM store and a company's other systems in step.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"navette {version('navette')}")
        raise typer.Exit


@app.callback()
def options(
    project: Annotated[Path, typer.Option(
        "--project", "-p", help="The folder that holds mappings/.", envvar="NAVETTE_PROJECT")] = Path(),
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options that every command has."""
    settings.project = project


def whole() -> typer.Typer:
    """The tree with every command. They are imported here so that `--help` of one does not pay for the others'
    libraries."""
    from pipelines.cli import (
        inbox,
        language,
        live,
        mending,
        rejects,
        review,
        running,
        sending,
        serve,
        status,
        store,
        systems,
        token,
        up,
    )

    for group in (language, running, sending, live, serve, token, mending, systems, inbox, rejects, review, status,
                  store, up):
        group.register(app)
    return app


def main() -> None:
    """The entry point."""
    whole()()
