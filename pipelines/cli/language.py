"""`navette init`, `navette check` and `navette schema`: the project itself, no store needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mappings.errors import Problem
from pipelines.cli.console import JsonFlag, answer, err, errors_told, out, settings


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(check)
    app.command()(schema)


def init(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write a small project that runs: a system, a flow, and a file to try it on.

    Example:

      navette init crm && navette --project crm run customers
    """
    from pipelines.cli.starter import write_starter

    with errors_told():
        write_starter(folder)
        out.print(f"wrote {folder}; try: navette --project {folder} check", markup=False, highlight=False)


def check(
    show: Annotated[str | None, typer.Option("--show", metavar="FLOW", help="Print a flow with everything inherited.")]
    = None,
    json: JsonFlag = False,
) -> None:
    """Find every mistake in the project's YAML, each with file, line and column. Exit: 0 none, 1 some.

    Examples:

      navette check
      navette check --show sage_customers
    """
    from connectors.registry import settings_models
    from mappings.check import check_project
    from mappings.language.project import require_project

    with errors_told(json):
        if show is not None:
            typer.echo(require_project(settings.project).flow_text(show), nl=False)
            return
        problems = check_project(settings.project, connectors=settings_models())
        if json:
            answer({"problems": [vars(problem) for problem in problems]})
        else:
            for problem in problems:
                err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
            out.print(_verdict(problems))
    raise typer.Exit(1 if any(problem.severity == "error" for problem in problems) else 0)


def _verdict(problems: list[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counted = ((errors, "error"), (warnings, "warning"))
    told = (f"{count} {word}" + ("" if count == 1 else "s") for count, word in counted)
    return ", ".join(told) if problems else "no mistakes found"


def schema() -> None:
    """Print the JSON Schema of the mapping language, for completion in editors.

    Example:

      navette schema > navette.schema.json
    """
    from mappings.language.schema import language_schema

    answer(language_schema())
