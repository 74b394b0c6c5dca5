"""The demos' hands: the `navette` command on a demo's project, and what it answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mappings.errors import RunStopped

HERE = Path(__file__).resolve().parent
COMMAND = Path(sys.executable).parent / "navette"
STOP_SECONDS = 30
Answer = dict[str, Any]


@dataclass(frozen=True)
class Navette:
    """A demo's project with a store of its own, whatever the caller's environment names.

    `source`: the folder whose mappings it works with. `variables`: what its systems.yaml asks of the environment.
    """

    project: Path = HERE
    source: Path = HERE
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.project / ".navette"

    @property
    def data(self) -> Path:
        return self.project / "data"

    def call(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        """The command's standard output. Raises RunStopped on another exit than `allowed`."""
        done = subprocess.run(self.command(arguments), env=self.environment(), stdout=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode not in allowed:
            raise RunStopped(
                f"exit {done.returncode}: {done.stdout.strip()[-1000:]}", where=f"navette {' '.join(arguments)}",
                todo=f"see the message above, and {self.home} for the state",
            )
        return done.stdout

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The words of `navette` with these arguments, on this project."""
        return [str(COMMAND), "--project", str(self.project), *arguments]

    def environment(self) -> dict[str, str]:
        """What its processes see: this project's variables, and nobody's store but its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NAVETTE_")}
        return {**kept, **self.variables}

    @contextmanager
    def live(self) -> Iterator[None]:
        """`navette live` while the block runs; what it tells goes to live.txt beside the store."""
        with (self.home / "live.txt").open("wb") as told:
            process = subprocess.Popen(self.command(["live"]), env=self.environment(), stdout=told, stderr=told)
            try:
                yield
                if process.poll() is not None:
                    raise RunStopped(f"navette live ended: {(self.home / 'live.txt').read_text('utf-8')[-1000:]}")
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

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
        if self.project != self.source:
            shutil.copytree(self.source / "mappings", self.project / "mappings", dirs_exist_ok=True)
