"""`make bench`: floor, dlt and Navette on one file and one server, in turns; the median counts.

::

    each round:  floor ─▶ navette first ─▶ unchanged (shuffled) ─▶ changed_1pct ─▶ dlt first ─▶ unchanged

Each step is a command of its own, timed from its start to its end, start-up included; a checkpoint before each keeps
the steps from paying for one another. Every round has a fresh store. Results: one table, and .navette/bench.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console

from benchmarks import bench_server, generate, report
from benchmarks.floor import URL
from benchmarks.measure import Measured, run
from benchmarks.report import Step
from crm_store.store import Store
from mappings.errors import NavetteError, RunStopped

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "benchmarks" / "project"
STATE = ROOT / ".navette"
DATA = STATE / "bench-data"
DLT = ROOT / ".venv-bench" / "bin" / "python"
NAVETTE = Path(sys.executable).parent / "navette"
FILES: dict[str, generate.Kind] = {"first": "first", "unchanged": "shuffled", "changed_1pct": "changed"}
EXPECTED = {"first": ("created", 1.0), "unchanged": ("unchanged", 1.0), "changed_1pct": ("updated", 0.01)}
"""What each Navette step has to end in, and which share of the rows: a bench of something else would be worthless."""


def make_files(rows: int) -> dict[str, Path]:
    """The three files, by step; dated, so that a later step's is newer."""
    return {
        step: generate.write(DATA / str(rows) / f"company_2026110{day}.csv", rows, kind)
        for day, (step, kind) in enumerate(FILES.items(), 1)
    }


@contextmanager
def fresh_store(number: int) -> Iterator[Store]:
    """A store made for one round and removed after it."""
    home = STATE / f"bench-{os.getpid()}-{number}"
    store = bench_server.open_bench(home)
    try:
        yield store
    finally:
        Store.stop(home)
        shutil.rmtree(home, ignore_errors=True)


class Round:
    """One round's commands against one store."""

    def __init__(self, store: Store, files: dict[str, Path], rows: int) -> None:
        self.store, self.files, self.rows = store, files, rows
        self.env = {
            **os.environ, "NAVETTE_HOME": str(store.home), URL: bench_server.bench_url(store),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        self.env.pop("NAVETTE_DATABASE_URL", None)

    def measured(self, *command: object) -> Measured:
        bench_server.settle(self.store)
        return run([str(part) for part in command], env=self.env, cwd=ROOT)

    def floor(self) -> Measured:
        return self.measured(sys.executable, "-m", "benchmarks.floor", self.files["first"])

    def dlt(self, step: str) -> Measured:
        return self.measured(DLT, ROOT / "benchmarks" / "dlt_load.py", self.files[step], self.store.home / "dlt")

    def prepare_navette(self) -> None:
        run([str(NAVETTE), "--project", str(PROJECT), "store", "migrate"], env=self.env, cwd=ROOT)

    def navette(self, step: str) -> Measured:
        measured = self.measured(
            NAVETTE, "--project", PROJECT, "run", "erp_company", "--file", self.files[step], "--json"
        )
        self._check(step, measured.printed)
        return measured

    def _check(self, step: str, printed: str) -> None:
        told = orjson.loads(printed)
        counters = told["into"]["company"]
        outcome, share = EXPECTED[step]
        found = counters[outcome] / self.rows
        if told["state"] != "done" or not 0.8 * share <= found <= 1.2 * share:
            raise RunStopped(f"navette {step}: {counters}", todo=f"about {share:.0%} of the rows should be {outcome}")


def measure_all(rows: int, rounds: int, only: set[str], console: Console) -> dict[Step, list[Measured]]:
    files = make_files(rows)
    measured: dict[Step, list[Measured]] = {}
    for number in range(1, rounds + 1):
        with fresh_store(number) as store:
            turn = Round(store, files, rows)
            measured.setdefault(("floor", ""), []).append(turn.floor())
            if "navette" in only:
                turn.prepare_navette()
                for step in FILES:
                    measured.setdefault(("navette", step), []).append(turn.navette(step))
            if "dlt" in only:
                for step in ("first", "unchanged"):
                    measured.setdefault(("dlt", step), []).append(turn.dlt(step))
        last = [f"{who} {step}".strip() + f" {times[-1].seconds:.1f} s" for (who, step), times in measured.items()]
        console.print(f"round {number} of {rounds}: {', '.join(last)}")
    return measured


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures floor, dlt and Navette on the same file.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=("navette", "dlt"), default=["navette", "dlt"])
    given = parser.parse_args()
    console = Console(width=140)
    try:
        measured = measure_all(given.rows, given.rounds, set(given.only), console)
    except NavetteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    report.show(given.rows, measured, console)
    target = STATE / "bench.json"
    target.write_bytes(orjson.dumps(report.as_json(given.rows, measured), option=orjson.OPT_INDENT_2) + b"\n")
    console.print(f"written to {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
