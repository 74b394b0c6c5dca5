"""Seconds and peak memory of one command with all its children, PostgreSQL's processes left out.

Memory is sampled ten times a second. *pss* counts a page shared by n processes as 1/n in each, so their sum counts
every page once: this is the figure reported. *rss*, shown beside it, counts shared pages (libraries, a forked parent's
heap) once for each process and so says more than the tree uses. Both include pages of files mapped into memory.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mappings.errors import RunStopped

INTERVAL = 0.1
_MB = 1024 * 1024


@dataclass(frozen=True)
class Measured:
    """What one command took; `printed` is its standard output."""

    seconds: float
    peak_pss_mb: float
    peak_rss_mb: float
    printed: str


@dataclass
class Peak:
    """The largest sums seen, in bytes."""

    pss: int = 0
    rss: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def watch(self, pid: int) -> None:
        while not self.stopped.wait(INTERVAL):
            pss, rss = tree_memory(pid)
            self.pss, self.rss = max(self.pss, pss), max(self.rss, rss)


def tree_memory(pid: int) -> tuple[int, int]:
    """Sum of PSS and sum of RSS over `pid` and its descendants that are not PostgreSQL's, in bytes."""
    pss = rss = 0
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with suppress(psutil.Error):
                if process.name().startswith("postgres"):
                    continue
                used = process.memory_full_info()
                pss, rss = pss + used.pss, rss + used.rss
    return pss, rss


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, allowed: tuple[int, ...] = (0,)
) -> Measured:
    """Run to the end; raises RunStopped with the end of its messages if it exits otherwise than `allowed`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=out, stderr=err)
        peak = Peak()
        watcher = threading.Thread(target=peak.watch, args=(process.pid,), daemon=True)
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - start
        peak.stopped.set()
        watcher.join()
        out.seek(0)
        err.seek(0)
        printed, said = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if code not in allowed:
        raise RunStopped(f"exit {code}: {(said or printed)[-2000:]}", where=" ".join(command[:3]))
    return Measured(seconds, peak.pss / _MB, peak.rss / _MB, printed)
