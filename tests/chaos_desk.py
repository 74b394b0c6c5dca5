"""A desk for chaos: `navette live` as a process of its own between a CRM and a real Tryton, all of which can be killed.

::

    CRM application ── SQL ──▶ store ◀── navette live ──▶ proxy ──▶ Tryton ◀── JSON-RPC ── its users
                               kill -9     kill -9      cuts, delays   kill -9
                                                        502 as HTML

The store's server is started again by nobody but the product; live and Tryton by the desk, as a supervisor would.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import psutil
import psycopg
from sqlalchemy import make_url

from connectors.tryton.answer import Refused
from connectors.tryton.session import Session
from crm_store.store import Store, admin_connection
from demo.tryton_server import TrytonServer
from pipelines.hub import Hub, open_hub
from tests.cutting_proxy import BAD_GATEWAY, Act, CuttingProxy
from tests.tryton_desk import lay_mappings

COMMAND = (sys.executable, "-c", "from pipelines.cli import main; main()", "--project")
PATIENCE = 300.0  # seconds until a test gives up waiting; nothing is expected to take so long
SAME_NUMBER = "The code on party must be unique"
T = TypeVar("T")


def acts(chance: random.Random) -> Act:
    """What the proxy does to the next request: nothing, as a rule. A session takes a dozen of requests, and a system that
    fails them again and again is left alone for minutes: with more trouble hardly anything would be tried."""
    kind = chance.choices(("pass", "lose", "swallow", "half", "refused", "done", "slow", "late"),
                          (189, 1, 2, 2, 1, 2, 2, 1))[0]
    waits = {"slow": chance.uniform(0.1, 1.0), "late": 4.0}  # 4 s is more than the connector waits
    if kind in waits:
        return lambda: time.sleep(waits[kind])
    return {"refused": BAD_GATEWAY, "done": "told 502"}.get(kind, kind)


@dataclass
class Chaos:
    """Everything that runs, and who may edit it."""

    root: Path
    tryton: TrytonServer
    proxy: CuttingProxy
    hub: Hub
    people: Session
    chance: random.Random
    crm_address: str = field(init=False)
    hub_address: str = field(init=False)
    live: subprocess.Popen[bytes] | None = None
    kills: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Written down once: asking the store for them starts its server, which is live's to do.
        self.crm_address = self.hub.store.crm_url
        roles = self.hub.store.roles
        self.hub_address = make_url(self.crm_address).set(
            username=roles.hub, password=self.hub.store.passwords[roles.hub]).render_as_string(hide_password=False)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def log(self) -> Path:
        return self.root / "live.txt"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "NAVETTE_HOME": str(self.home), "TRYTON_URL": self.proxy.url, "PYTHONUNBUFFERED": "1",
                "TRYTON_PASSWORD_FILE": str(self.tryton.password_file)}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, str(self.root), *words], env=self.environment(), text=True,
                              capture_output=True, timeout=PATIENCE, check=False)

    # as people

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One transaction of a CRM application; where the server is away it is waited for, before the edit is made."""
        return self._ask(self.crm_address, statement, values)

    def sees(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the hub, which may read everything."""
        return self._ask(self.hub_address, statement, values)

    def _ask(self, address: str, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with patiently(lambda: psycopg.connect(address, autocommit=True), psycopg.OperationalError) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def there(self, method: str, *params: Any, **context: Any) -> Any:
        """A call of somebody's who works in Tryton; again where its database was locked by another writer, or where two
        who made parties at the same moment got the same number."""
        def call() -> Any:
            try:
                return self.people.write(f"model.{method}", *params, context=context or None)
            except Refused as refused:
                if not refused.transient and SAME_NUMBER not in refused.message:
                    raise AssertionError(f"{method} {params}: {refused.message}") from refused
                raise
        return patiently(call, Refused)

    # what breaks

    def start_live(self) -> None:
        assert self.live is None or self.live.poll() is not None
        with self.log.open("ab") as log:
            self.live = subprocess.Popen([*COMMAND, str(self.root), "live", "--stand-by"], env=self.environment(),
                                         stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill_live(self) -> None:
        assert self.live is not None
        assert self.live.poll() is None, f"live ended by itself:\n{self.said()}"
        self.live.kill()
        self.live.wait(30)
        time.sleep(self.chance.uniform(0, 1))
        self.start_live()

    def kill_tryton(self) -> None:
        self.tryton.kill()
        time.sleep(self.chance.uniform(0, 1))
        self.tryton.start()

    def kill_store(self) -> None:
        """Only the postmaster, which leaves what its children are at to them; or all of it."""
        pid = int((self.home / "pg" / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        family = [postmaster, *(postmaster.children(recursive=True) if self.chance.random() < 0.5 else ())]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def kill(self, whom: str) -> None:
        self.kills.append(whom)
        {"live": self.kill_live, "tryton": self.kill_tryton, "store": self.kill_store}[whom]()

    def disturb(self) -> None:
        """Keeps the proxy supplied."""
        while len(self.proxy.plan) < 20:
            self.proxy.plan.append(acts(self.chance))

    def calm(self) -> None:
        """Nothing breaks any more, and somebody tells live that Tryton is well."""
        self.proxy.plan.clear()
        assert self.command("resume", "tryton").returncode == 0

    def end_live(self) -> None:
        assert self.live is not None
        self.live.terminate()
        assert self.live.wait(60) == 0, self.said()

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-6000:]


def patiently(ask: Callable[[], T], fault: type[Exception]) -> T:
    """Asks again while it meets this fault."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except fault:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def chaos(tryton: TrytonServer, people: Session, seed: str) -> Iterator[Chaos]:
    """The desk with everything that Tryton has taken in, and live not started yet."""
    root = Path(mkdtemp(prefix="nvc-", dir="/tmp"))
    proxy = CuttingProxy(tryton.port)
    made: Chaos | None = None
    try:
        lay_mappings(root)
        systems = root / "mappings" / "systems.yaml"
        systems.write_text(systems.read_text("utf-8").replace("settle: 2s", "settle: 2s\n    timeout: 3"), "utf-8")
        hub = open_hub(root, {"NAVETTE_HOME": str(root / "home"), "TRYTON_URL": proxy.url,
                              "TRYTON_PASSWORD_FILE": str(tryton.password_file)})
        with closing(admin_connection(hub.store)) as admin:
            # What a killed process has written is the system's to keep; only a power cut needs fsync.
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
        made = Chaos(root, tryton, proxy, hub, people, random.Random(seed))
        for flow in ("tryton_parties", "tryton_addresses"):
            done = made.command("run", flow)
            assert done.returncode == 0, done.stdout + done.stderr
        hub.engine.dispose()
        yield made
    finally:
        if made is not None and made.live is not None:
            made.live.kill()
            made.live.wait(30)
        proxy.close()
        Store.stop(root / "home")
        shutil.rmtree(root)
