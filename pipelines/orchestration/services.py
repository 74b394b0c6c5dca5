"""The processes as `navette up` runs them: started, watched, stopped with everything they started."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psutil

from mappings.errors import RunStopped
from pipelines.orchestration.instance_folder import LOGS, end_tree

START_SECONDS = 300
_STOP_SECONDS = 12
_LOG_BYTES = 5_000_000
_LINES_TOLD = 12


class Stopped(Exception):
    """Stopping was asked for before everything was up."""


@dataclass(frozen=True)
class Service:
    """One process, and where it says what it does."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def known(self) -> tuple[int, float]:
        """Its number, and when it was made."""
        with suppress(psutil.Error):
            return self.process.pid, psutil.Process(self.process.pid).create_time()
        return self.process.pid, 0.0


def start(name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Service:
    """Starts `python -m module …` in a session of its own, so that Ctrl-C reaches us alone."""
    log = folder / LOGS / f"{name}.log"
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", module, *arguments], cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL,
            stdout=said, stderr=said, start_new_session=True,
        )
    return Service(name, process, log)


def wait_until(ready: Callable[[], bool], services: Sequence[Service], stopping: Event, *, what: str) -> None:
    """Waits for `ready`. Raises RunStopped when a service ends or nothing comes of it, Stopped when asked to stop."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        check_alive(services)
        if stopping.wait(0.2):
            raise Stopped
        if time.monotonic() > deadline:
            raise RunStopped(f"{what} did not answer within {START_SECONDS} s", where=str(services[-1].log),
                             todo="read that log")


def check_alive(services: Sequence[Service]) -> None:
    """Raises RunStopped, with the end of its log, when a service has ended by itself."""
    for service in services:
        code = service.process.poll()
        if code is not None:
            raise RunStopped(
                f"{service.name} ended by itself (exit {code}):\n{last_lines(service.log)}", where=str(service.log),
                todo="read that log, and run navette up again",
            )


def last_lines(log: Path) -> str:
    with suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4096))
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-_LINES_TOLD:])
    return ""


def stop(service: Service) -> None:
    """Ends a service and every process it started, gently first."""
    with suppress(psutil.Error):
        process = psutil.Process(service.process.pid)
        children = process.children(recursive=True)
        if service.process.poll() is None:
            process.terminate()
            psutil.wait_procs([process], timeout=_STOP_SECONDS)
        end_tree([process, *children], _STOP_SECONDS / 4)
    with suppress(subprocess.TimeoutExpired):
        service.process.wait(_STOP_SECONDS)
