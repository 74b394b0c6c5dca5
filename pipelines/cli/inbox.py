"""`navette inbox`: calls that were not taken in yet, or could not be."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from pipelines.cli.console import JsonFlag, answer, errors_told, out, settings, table
from pipelines.cli.lines import BIGGEST, line

group = typer.Typer(no_args_is_help=True, help="What systems said by calling: kept, taken in, or not.")

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of calls; none: all that failed.", max=BIGGEST)]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="inbox")


@group.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that were taken in, too.")] = False,
    json: JsonFlag = False,
) -> None:
    """List the newest calls that wait, or were not taken in.

    Example:

      navette inbox list
    """
    from pipelines.hub import open_hub
    from pipelines.ops.inbox import OPEN, calls

    with errors_told(json):
        found = calls(open_hub(settings.project), (*OPEN, "done", "dismissed") if everything else OPEN)
        if json:
            answer({"calls": [call.as_json() for call in found]})
            return
        shown = table("#call", "flow", "received", "#rows", "state", "#run", "key")
        for call in found:
            shown.add_row(str(call.number), call.flow, f"{call.received_at.astimezone():%Y-%m-%d %H:%M:%S}",
                          str(call.rows), call.state, str(call.run_id or "·"), call.key or "")
        out.print(shown) if found else line("nothing waits")


@group.command()
def show(number: Annotated[int, typer.Argument(help="The number of a call.", max=BIGGEST)]) -> None:
    """Print a call as it came.

    Example:

      navette inbox show 17
    """
    from pipelines.hub import open_hub
    from pipelines.ops.inbox import body_of

    with errors_told():
        sys.stdout.buffer.write(body_of(open_hub(settings.project), number))
        sys.stdout.flush()


@group.command()
def retry(numbers: Numbers = None, json: JsonFlag = False) -> None:
    """Let calls wait again whose run failed or was refused; the next run takes them in.

    Examples:

      navette inbox retry
      navette inbox retry 17 18
    """
    _settle(numbers or [], "waiting", json)


@group.command()
def dismiss(numbers: Numbers = None, json: JsonFlag = False) -> None:
    """Drop calls that are not to be taken in; they stay readable.

    Example:

      navette inbox dismiss 17
    """
    _settle(numbers or [], "dismissed", json)


@group.command()
def prune(json: JsonFlag = False) -> None:
    """Drop the bodies of calls that were taken in long ago (`hooks: {keep: …}`, 30 days by default).

    `navette serve` does it by itself, once an hour. Calls that are sent again are known all the same.

    Example:

      navette inbox prune
    """
    from pipelines.hub import open_hub
    from pipelines.runs.pruning import prune_inbox

    with errors_told(json):
        count = prune_inbox(open_hub(settings.project))
        answer({"calls": count}) if json else line(f"{count} calls: body dropped")


def _settle(numbers: list[int], to: Literal["waiting", "dismissed"], json: bool) -> None:
    from pipelines.hub import open_hub
    from pipelines.ops.inbox import settle_calls

    with errors_told(json):
        count = settle_calls(open_hub(settings.project), numbers, to)
        answer({"calls": count}) if json else line(f"{count} calls: {to}")
