"""`navette token`: who may use records over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, settings, table
from pipelines.cli.lines import line

group = typer.Typer(no_args_is_help=True, help="Applications that use records over HTTP.")

Name = Annotated[str, typer.Argument(help="The application's name: it stands in the journal.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="token")


@group.command()
def create(
    name: Name,
    role: Annotated[str, typer.Option(help="The database role that its requests work as, a member of navette_crm.")]
    = "navette_crm",
    json: JsonFlag = False,
) -> None:
    """Make a token and show it, this once.

    Example:

      navette token create web_shop
    """
    from pipelines.hub import open_hub
    from pipelines.ops.tokens import create_token

    with errors_told(json):
        made = create_token(open_hub(settings.project), name, role)
        answer({"name": name, "role": role, "token": made}) if json else typer.echo(made)


@group.command("list")
def list_(json: JsonFlag = False) -> None:
    """List tokens: whose, working as which role, when they were used last.

    Example:

      navette token list
    """
    from pipelines.hub import open_hub
    from pipelines.ops.tokens import tokens

    with errors_told(json):
        found = tokens(open_hub(settings.project))
        if json:
            answer({"tokens": [token.as_json() for token in found]})
            return
        shown = table("name", "role", "made", "by", "used", "revoked")
        for token in found:
            shown.add_row(token.name, token.role, _when(token.made_at), token.made_by, _when(token.used_at),
                          _when(token.revoked_at))
        out.print(shown) if found else line("there is none")


@group.command()
def revoke(name: Name) -> None:
    """Let a token be none from the next request on.

    Example:

      navette token revoke web_shop
    """
    from pipelines.hub import open_hub
    from pipelines.ops.tokens import revoke_token

    with errors_told():
        revoke_token(open_hub(settings.project), name)
        line(f"{name} is revoked")


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "·"
