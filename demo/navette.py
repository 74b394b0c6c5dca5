"""The demo's hands: the `navette` command on the demo's project, and what it answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mappings.errors import RunStopped

HERE = Path(__file__).resolve().parent
COMMAND = Path(sys.executable).parent / "navette"
Answer = dict[str, Any]


@dataclass(frozen=True)
class Navette:
    """The demo's project with a store of its own, whatever the caller's environment names."""

    project: Path = HERE

    @property
    def home(self) -> Path:
        return self.project / ".navette"

    @property
    def data(self) -> Path:
        return self.project / "data"

    def call(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        """The command's standard output. Raises RunStopped on another exit than `allowed`."""
        command = [str(COMMAND), "--project", str(self.project), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NAVETTE_")}
        done = subprocess.run(command, env=kept, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode not in allowed:
            raise RunStopped(
                f"exit {done.returncode}: {done.stdout.strip()[-1000:]}", where=f"navette {' '.join(arguments)}",
                todo=f"see the message above, and {self.home} for the state",
            )
        return done.stdout

    def answer(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Answer:
        """The command's `--json` answer."""
        told: Answer = orjson.loads(self.call(*arguments, "--json", allowed=allowed))
        return told

    def runs(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> list[Answer]:
        """The runs of one `navette run`: several are in `runs`, a single one is the answer itself."""
        told = self.answer("run", *arguments, allowed=allowed)
        several: list[Answer] | None = told.get("runs")
        return [told] if several is None else several

    def parked(self) -> int:
        """Rows that wait for another, over all flows."""
        return sum(flow["parked"] for flow in self.answer("status")["flows"])

    def start_afresh(self) -> None:
        """The store and files of an earlier demo go away; elsewhere than here, the mappings are copied first."""
        if self.home.exists():
            self.call("store", "stop")
        for folder in (self.home, self.data):
            shutil.rmtree(folder, ignore_errors=True)
        if self.project != HERE:
            shutil.copytree(HERE / "mappings", self.project / "mappings", dirs_exist_ok=True)
