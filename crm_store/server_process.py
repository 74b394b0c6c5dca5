"""The embedded server's processes: the one that runs, as postmaster.pid tells it, and what a killed one leaves."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mappings.errors import RetryLater

START_SECONDS = 600  # recovery replays up to max_wal_size after a crash


@dataclass(frozen=True)
class Address:
    """Where the running server listens; `tcp` is false where loopback could not be had."""

    socket_dir: str
    port: int
    tcp: bool


def running(data: Path) -> Address | None:
    """The address of a server that is ready; None while there is none, or it still starts."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready" or server_process(data) is None:
        return None
    return Address(socket_dir=lines[4], port=int(lines[3]), tcp=bool(lines[5].strip()))


def server_process(data: Path) -> psutil.Process | None:
    """The live postmaster of `data`: after a crash its number may be another program's, or a zombie's."""
    try:
        number = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(number)
        alive = process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return process if alive else None


def await_ready(data: Path) -> Address | None:
    """Wait for a server that starts, recovers or stops: its address, or None once there is none."""
    deadline = time.monotonic() + START_SECONDS
    while server_process(data) is not None:
        address = running(data)
        if address is not None:
            return address
        if time.monotonic() > deadline:
            raise RetryLater(
                f"the store's server is still not ready after {START_SECONDS} s", where=str(data),
                todo="wait and try again; server.log in that folder shows how far it is",
            )
        time.sleep(0.05)
    return None


def bury(data: Path) -> None:
    """Clear away what a killed server left: its orphans still hold shared memory, its pid file may name a stranger."""
    if server_process(data) is not None:
        return
    orphans = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            if process.info["name"] == "postgres" and Path(process.cwd()) == data.resolve():
                process.send_signal(signal.SIGQUIT)
                orphans.append(process)
    for process in psutil.wait_procs(orphans, timeout=5)[1]:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(orphans, timeout=5)
    (data / "postmaster.pid").unlink(missing_ok=True)
