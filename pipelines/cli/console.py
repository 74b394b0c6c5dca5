"""What commands share: where the project is, how an answer and an error are shown, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import store_error
from mappings.errors import ConfigurationError, NavetteError, StoreError
from pipelines.runs.patience import patient

out = Console(width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, width=None if sys.stderr.isatty() else 200)

JsonFlag = Annotated[bool, typer.Option("--json", help="Answer as one JSON document, for scripts.")]


@dataclass
class Settings:
    """What was said before the command: `navette --project DIR …`."""

    project: Path = Path()


settings = Settings()


def answer(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode())
    sys.stdout.write("\n")


@contextmanager
def errors_told(json: bool = False) -> Iterator[None]:
    """Ends the command with the error's own exit code; users never see a traceback for what they did. A flow that
    somebody else is at is waited for, and that is said beside the answer."""
    try:
        with patient(lambda sentence: err.print(sentence, markup=False, highlight=False, soft_wrap=True)):
            yield
    except NavetteError as error:
        tell(error, json=json)
        raise typer.Exit(error.exit_code) from None
    except (DBAPIError, psycopg.Error) as error:
        tell(store_error(error), json=json)
        raise typer.Exit(StoreError.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted; the next run goes on where this one stopped")
        raise typer.Exit(130) from None


def tell(error: NavetteError, *, json: bool) -> None:
    """The error: what happened, where, and what to do next."""
    if json:
        told: dict[str, Any] = {"error": error.message, "where": error.where, "todo": error.todo,
                                "exit_code": error.exit_code}
        if isinstance(error, ConfigurationError) and error.problems:
            told["problems"] = [vars(problem) for problem in error.problems]
        answer(told)
        return
    err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_shown(label: str, *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on the terminal; nothing where nobody looks (`--json`, a pipe)."""
    if quiet or not err.is_terminal:
        yield lambda *_: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
               TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda phase, rows: bar.update(task, description=f"{label}: {phase}", completed=rows)


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table; columns that begin with `#` are numbers."""
    made = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in columns:
        made.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    return made
