"""`navette store`: the CRM store's server and schema."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, settings

group = typer.Typer(no_args_is_help=True, help="The CRM store: its server, its schema.")


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="store")


@group.command()
def migrate(json: JsonFlag = False) -> None:
    """Bring the schema to what the entities say; refuses what would lose data. Example: navette store migrate."""
    import os

    from crm_store.migrate import migrate as bring_up
    from crm_store.store import Store
    from mappings.language.project import require_project
    from pipelines.hub import home_of

    with errors_told(json):
        project = require_project(settings.project)
        store = Store.open(home_of(settings.project), os.environ.get("NAVETTE_DATABASE_URL") or None)
        done = bring_up(store, project)
        if json:
            answer({"done": done})
        else:
            out.print("\n".join(done) or "nothing to do", markup=False, highlight=False)


@group.command()
def stop() -> None:
    """Stop the embedded server of this project. Example: navette store stop."""
    from crm_store.store import Store
    from pipelines.hub import home_of

    with errors_told():
        stopped = Store.stop(home_of(settings.project))
        out.print("stopped" if stopped else "it was not running")


@group.command()
def url(role: Annotated[str, typer.Option(help="crm: for CRM applications; dagster: Dagster's own storage.")] = "crm",
        json: JsonFlag = False) -> None:
    """Print the address for CRM applications, with its password. Example: psql "$(navette store url)"."""
    from mappings.errors import ConfigurationError
    from pipelines.hub import open_hub

    with errors_told(json):
        store = open_hub(settings.project).store
        known = {"crm": store.crm_url, "dagster": store.dagster_url}
        if role not in known:
            raise ConfigurationError(f"there is no address for {role!r}", todo="crm or dagster")
        answer({"url": known[role]}) if json else typer.echo(known[role])
