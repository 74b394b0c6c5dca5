"""The demo's hands: the `navette` command on the demo's project, and what it answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from mappings.errors import RunStopped

PROJECT = Path(__file__).resolve().parent
HOME = PROJECT / ".navette"
DATA = PROJECT / "data"
COMMAND = Path(sys.executable).parent / "navette"
Answer = dict[str, Any]


def _environment() -> dict[str, str]:
    """The demo has a store of its own, whatever the caller's environment names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAVETTE_")}
    return {**kept, "NAVETTE_HOME": str(HOME)}


def call(*arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    """The command's standard output. Raises RunStopped on another exit than `allowed`."""
    command = [str(COMMAND), "--project", str(PROJECT), *arguments]
    done = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in allowed:
        raise RunStopped(
            f"exit {done.returncode}: {done.stdout.strip()[-1000:]}", where=f"navette {' '.join(arguments)}",
            todo="see the message above, or demo/.navette for the state",
        )
    return done.stdout


def answer(*arguments: str, allowed: tuple[int, ...] = (0,)) -> Answer:
    """The command's `--json` answer."""
    told: Answer = orjson.loads(call(*arguments, "--json", allowed=allowed))
    return told


def runs_of(told: Answer) -> list[Answer]:
    """The runs of one `navette run --json`: several are in `runs`, a single one is the answer itself."""
    several: list[Answer] | None = told.get("runs")
    return [told] if several is None else several
