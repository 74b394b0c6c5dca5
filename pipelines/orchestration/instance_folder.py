"""DAGSTER_HOME of `navette up`: a folder in NAVETTE_HOME with its configuration, made anew at each start.

::

    NAVETTE_HOME/dagster/
    ├── dagster.yaml      the project's own, or the default beside this module
    ├── workspace.yaml    the code server that all of Dagster's processes share
    ├── process_logs/     what the processes say (Dagster empties a folder called logs)
    ├── output/, storage/ what runs print and keep
    └── up.lock, up.json  who is up, and its processes: those of a killed one are ended by the next
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
import psutil

from crm_store.passwords import write_private
from mappings.errors import ConfigurationError
from pipelines.orchestration.place import HOME, PROJECT, REPORTS_URL, instance_folder

DEFAULT = Path(__file__).with_name("dagster.yaml")
LOGS = "process_logs"
_END_SECONDS = 10


@dataclass
class Up:
    """What up.json tells: the address, and processes as (pid, time of creation), since pids are given again."""

    address: str = ""
    processes: list[tuple[int, float]] = field(default_factory=list)


@contextmanager
def only_one(home: Path) -> Iterator[Path]:
    """Holds the instance folder of `home` while the block runs; ends what a killed holder left running.

    Raises ConfigurationError when another `navette up` holds it.
    """
    folder = instance_folder(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            address = read_up(folder).address
            raise ConfigurationError(
                f"this project is up already{f', at {address}' if address else ''}", where=str(folder),
                todo="use that one, or stop it with Ctrl-C first",
            ) from None
        end_processes(read_up(folder).processes)
        try:
            yield folder
        finally:
            (folder / "up.json").unlink(missing_ok=True)


def read_up(folder: Path) -> Up:
    """up.json; empty where there is none, or a broken one."""
    with suppress(OSError, ValueError, TypeError):
        told = orjson.loads((folder / "up.json").read_bytes())
        return Up(str(told["address"]), [(int(pid), float(made)) for pid, made in told["processes"]])
    return Up()


def write_up(folder: Path, up: Up) -> None:
    write_private(folder / "up.json", orjson.dumps(asdict(up)).decode())


def end_processes(known: Sequence[tuple[int, float]]) -> None:
    """Ends the processes (and theirs) that are still the ones meant, gently first."""
    found: list[psutil.Process] = []
    for pid, made in known:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if abs(process.create_time() - made) < 1:
                found += [process, *process.children(recursive=True)]
    end_tree(found, _END_SECONDS)


def end_tree(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Asks processes to end; those that have not after `seconds` are killed."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=seconds)[1]:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=seconds)


def write_configuration(folder: Path, root: Path, socket: Path) -> None:
    """dagster.yaml and workspace.yaml of the instance."""
    own = root / "dagster.yaml"
    source = own if own.is_file() else DEFAULT
    write_private(folder / "dagster.yaml", source.read_text("utf-8"))
    server = {"grpc_server": {"socket": str(socket), "location_name": "navette"}}
    # JSON is YAML too, and quotes paths properly.
    write_private(folder / "workspace.yaml", orjson.dumps({"load_from": [server]}).decode())
    (folder / LOGS).mkdir(mode=0o700, exist_ok=True)


def environment(root: Path, home: Path, folder: Path, reports_url: str) -> dict[str, str]:
    """The environment of Dagster's processes; an address of the reports that is set already (a proxy's) stands."""
    return os.environ | {
        "DAGSTER_HOME": str(folder), PROJECT: str(root), HOME: str(home),
        REPORTS_URL: os.environ.get(REPORTS_URL) or reports_url, "PYTHONUNBUFFERED": "1",
    }
