"""A real Tryton on loopback, for the demo and the tests: its environment, a template database, servers on copies of it.

::

    make .venv-tryton/.ready ─▶ trytond and its modules, in an environment of their own: Navette's never sees them
    template(cache)          ─▶ cache/DIGEST/: modules activated, company set up; made once for a lock file
    new_server(folder, …)    ─▶ folder/: a copy of the database, trytond on 127.0.0.1 and a free port
                                start ─ stop ─ kill ─ start …: same database, same port
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connectors.tryton.session import Session
from connectors.tryton.settings import TrytonSettings
from demo.tryton_company import set_up_company
from mappings.errors import NavetteError

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-tryton"
CACHE = ROOT / ".navette" / "tryton"
LOCK = ROOT / "requirements" / "tryton.txt"
MADE_OF = (LOCK, Path(__file__), ROOT / "demo" / "tryton_company.py")
"""What the template depends on."""

DATABASE, USER = "tryton", "admin"
MODULES = ("party", "company", "account", "account_invoice", "account_fr", "sale", "product", "timesheet", "project",
           "web_user", "party_siret")
SET_UP_SECONDS = 900
START_SECONDS = 120
STOP_SECONDS = 3
"""It waits for connections that clients keep open; what was committed is in the database."""
PORTS_TRIED = 5


class TrytonFailed(NavetteError):
    """Tryton could not be installed, set up or started; the message holds the end of what it said."""


@dataclass
class TrytonServer:
    """A server on the database in `folder`; `port` is chosen by the first start and kept."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_file(self) -> Path:
        return self.folder / "db" / f"{DATABASE}.sqlite"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    @property
    def log(self) -> Path:
        return self.folder / "trytond.log"

    def settings(self, **others: object) -> TrytonSettings:
        """What a connector needs to work with this server, as its administrator."""
        return TrytonSettings.model_validate({
            "base_url": self.url, "database": DATABASE, "user": USER, "password_file": self.password_file, **others
        })

    def start(self) -> None:
        """Returns when the server answers; raises TrytonFailed."""
        for _ in range(1 if self.port else PORTS_TRIED):
            port = self.port or _free_port()
            if self._started(port):
                self.port = port
                return
        raise TrytonFailed(f"trytond did not start:\n{self.said()}", where=str(self.log))

    def _started(self, port: int) -> bool:
        """Whether it answers; when it ended at once, somebody else may have taken the port."""
        _write_configuration(self.folder, port)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [ENVIRONMENT / "bin" / "trytond", "-c", self.folder / "trytond.conf", "-d", DATABASE],
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_surroundings(),
            )
        until = time.monotonic() + START_SECONDS
        while self.process.poll() is None:
            if _answers(port):
                return True
            if time.monotonic() > until:
                self.kill()
                raise TrytonFailed(f"trytond does not answer after {START_SECONDS} s:\n{self.said()}")
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """As the machine would: no good-bye, open transactions are lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-2000:] if self.log.exists() else ""


def require_environment() -> None:
    """Makes .venv-tryton where it is missing or older than its lock file."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", "--no-print-directory", ".venv-tryton/.ready"], cwd=ROOT, env=surroundings,  # noqa: S607
                          capture_output=True, text=True, timeout=SET_UP_SECONDS, check=False)
    if made.returncode:
        raise TrytonFailed(f"Tryton could not be installed:\n{made.stdout[-1000:]}{made.stderr[-2000:]}",
                           todo="`make .venv-tryton/.ready` shows the whole of it.")


def template(cache: Path = CACHE) -> Path:
    """The folder of a database that is set up, below `cache`: made by the first caller, while the others wait."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in MADE_OF)).hexdigest()[:16]
    made = cache / digest
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / "lock"):
        require_environment()
        if not made.exists():
            begun = cache / f"{digest}.begun"
            shutil.rmtree(begun, ignore_errors=True)
            _set_up(begun)
            begun.rename(made)
    return made


def _set_up(folder: Path) -> None:
    (folder / "db").mkdir(parents=True)
    server = TrytonServer(folder)
    server.database_file.touch()
    with os.fdopen(os.open(server.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(18) + "\n")
    _write_configuration(folder, 0)
    admin = subprocess.run(
        [ENVIRONMENT / "bin" / "trytond-admin", "-c", folder / "trytond.conf", "-d", DATABASE, "-u", *MODULES,
         "--activate-dependencies", "--email", "admin@example.invalid"],
        cwd=folder, env={**_surroundings(), "TRYTONPASSFILE": str(server.password_file)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SET_UP_SECONDS, check=False,
    )
    if admin.returncode:
        raise TrytonFailed(f"Tryton's database could not be set up:\n{admin.stdout[-1000:]}{admin.stderr[-2000:]}")
    server.start()
    session = Session(server.settings())
    try:
        set_up_company(session)
    finally:
        session.close()
        server.stop()
    with closing(sqlite3.connect(server.database_file)) as database:  # one file is copied, not its log beside it
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def new_server(folder: Path, cache: Path = CACHE) -> TrytonServer:
    """A server on a database of its own in `folder` (new, or one that an earlier server left), started."""
    server = TrytonServer(folder)
    if not server.database_file.exists():
        source = TrytonServer(template(cache))
        server.database_file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.password_file, server.password_file)  # with its mode
        shutil.copy(source.database_file, server.database_file)
    else:
        require_environment()
    server.start()
    return server


@contextmanager
def running(folder: Path, cache: Path = CACHE) -> Iterator[TrytonServer]:
    """A server that is stopped at the end."""
    server = new_server(folder, cache)
    try:
        yield server
    finally:
        server.stop()


def _write_configuration(folder: Path, port: int) -> None:
    (folder / "trytond.conf").write_text(
        f"[database]\nuri = sqlite://\npath = {folder / 'db'}\n"
        f"[web]\nlisten = 127.0.0.1:{port}\nroot = {folder / 'www'}\n", "utf-8",
    )


def _surroundings() -> dict[str, str]:
    """Nothing of ours: neither paths of Python nor settings of Tryton."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/rpc/", b'{"id": 0, "method": "common.server.version", "params": []}',
        {"Content-Type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(asked, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two test processes that begin together set up one template, not two into the same folder."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs a Tryton with a company until it is interrupted.")
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="the folder of its database")
    try:
        with running(parser.parse_args().folder.resolve()) as server:
            print(f"{server.url}, database {DATABASE}, user {USER}, password in {server.password_file}", flush=True)
            assert server.process is not None
            return server.process.wait()
    except KeyboardInterrupt:
        return 0
    except NavetteError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
