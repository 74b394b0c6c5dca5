"""What runs beside the bench's changes: `navette` commands that go on, and the loads."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.live.series import repeated
from demo.navette import Navette

BULK_ROWS = 200_000
LOADS = ("rest", "50/s", "bulk")


@contextmanager
def running(navette: Navette, *command: str) -> Iterator[Path]:
    """A command that goes on until the block ends; gives the file of what it tells."""
    told = navette.home / f"{command[0]}.txt"
    with told.open("wb") as file:
        process = subprocess.Popen(navette.command(command), env=navette.environment(), stdout=file, stderr=file)
        try:
            yield told
        finally:
            process.terminate()
            process.wait()


def port_of(told: Path) -> int:
    """Where `navette serve` listens, as soon as it says so."""
    for _ in range(600):
        if "serving: " in (said := told.read_text()):
            return int(said.split("serving: ")[1].split()[0].rsplit(":", 1)[1])
        time.sleep(0.1)
    raise SystemExit(f"navette serve did not start: {told.read_text()}")


@contextmanager
def beside(load: str, change: Callable[[int], object], bulk: Navette, files: list[Path]) -> Iterator[None]:
    """The load while the block runs. `change(n)`: one of the changes of which there are 50 a second; `bulk`: the
    project whose flow bulk_products loads the files, in turn."""
    if load == "rest":
        yield
    elif load == "50/s":
        with repeated(change):
            time.sleep(2)  # until it has settled
            yield
    else:
        with repeated(lambda number: bulk.runs("bulk_products", "--file", str(files[number % 2])), 1000):
            time.sleep(2)
            yield


def bulk_files(folder: Path) -> list[Path]:
    """Two files of the same products that differ in every row."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"products_{number}.csv" for number in (1, 2)]
    for number, path in enumerate(files):
        if not path.exists():
            rows = "".join(f"P{n};Product {n} of {number};A description of some length, number {n}\n"
                           for n in range(BULK_ROWS))
            path.write_text("code;name;description\n" + rows)
    return files
