"""`navette up`: the page of reports, Dagster's processes, and `navette serve`, until somebody asks to stop.

::

    navette up ─┬─ reports (a thread)            loopback only
                ├─ code server ── flows' runs    the project's definitions; a socket in a private folder
                ├─ web server                    ─┐
                ├─ daemon                        ─┴─ Dagster's storage in the store's PostgreSQL
                └─ serve                         calls of systems, records: where the project has something to serve
"""

from __future__ import annotations

import os
import signal
import socket as sockets
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from urllib.error import HTTPError, URLError

from dagster import DagsterInstance
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.instance import InstanceRef
from dagster._grpc.client import DagsterGrpcClient

from mappings.errors import ConfigurationError
from pipelines.hub import open_hub
from pipelines.ops.served import to_serve
from pipelines.orchestration.instance_folder import LOGS, Up, environment, only_one, write_configuration, write_up
from pipelines.orchestration.place import PROJECT, state_home
from pipelines.orchestration.reports_page import HOST, served_reports
from pipelines.orchestration.runs_left import cancel_runs, close_canceled, close_orphans
from pipelines.orchestration.services import Service, Stopped, check_alive, start, stop, wait_until
from pipelines.reports import reports_folder

Say = Callable[[str], None]
LOOPBACK = (HOST, "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - to be told apart, not bound


def stay_up(project: Path, *, host: str, port: int, reports_port: int, serve_port: int | None, say: Say) -> None:
    """Starts everything, tells the addresses, and stops everything on Ctrl-C or TERM.

    Port 0 takes a free one; `serve_port` None: nothing is served. Raises ConfigurationError (a mistake in the project,
    a port that is taken, up already) and RunStopped (a process ended by itself).
    """
    root = project.expanduser().resolve()
    home = state_home({**os.environ, PROJECT: str(root)})
    hub = open_hub(root)  # every mistake of the project is told here, and the store migrated, before anything starts
    serves = serve_port is not None and to_serve(hub)
    hub.store.let_go()
    with stopping_asked() as stopping, only_one(home) as folder, ExitStack() as stack:
        port = _free(host, port)
        reports = stack.enter_context(served_reports(reports_folder(home), _free(HOST, reports_port)))
        serving = _free(HOST, serve_port) if serves and serve_port is not None else None
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="navette-up-")))
        os.environ.update(environment(root, home, folder, reports))  # for our own use of Dagster as well
        write_configuration(folder, root, private / "code.sock")
        with DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as instance:
            running = _Running(instance, root, folder, private / "code.sock", host, port, serving, stopping, say)
            try:
                running.start(reports)
                while not stopping.wait(1):
                    check_alive(running.services)
            except Stopped:
                pass
            finally:
                running.stop()


@dataclass
class _Running:
    """The processes of one `navette up`."""

    instance: DagsterInstance
    root: Path
    folder: Path
    socket: Path
    host: str
    port: int
    serving: int | None
    stopping: Event
    say: Say
    services: list[Service] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://{HOST if self.host in EVERYWHERE else self.host}:{self.port}"

    @property
    def served(self) -> str:
        return f"http://{HOST}:{self.serving}"

    def start(self, reports: str) -> None:
        self.say("starting …")
        self._begin("code", "dagster", "code-server", "start", "--socket", str(self.socket), "--module-name",
                    "pipelines.definitions", "--location-name", "navette", "--log-level", "warning")
        close_orphans(self.instance)
        self._wait(lambda: _code_answers(self.socket), "the code server")
        workspace = ("--workspace", str(self.folder / "workspace.yaml"))
        self._begin("web", "dagster_webserver", "--host", self.host, "--port", str(self.port), "--dagster-log-level",
                    "warning", *workspace)
        self._begin("daemon", "dagster._daemon", "run", "--log-level", "warning", *workspace)
        self._wait(lambda: _web_answers(self.address), "the web server")
        if self.serving is not None:
            self._begin("serve", "pipelines.cli", "--project", str(self.root), "serve", "--port", str(self.serving))
            self._wait(lambda: _serve_answers(self.served), "navette serve")
        self._tell(reports)

    def stop(self) -> None:
        """The daemon first, so that nothing new starts; then the runs under way; then the rest."""
        self.say("stopping …")
        by_name = {service.name: service for service in self.services}
        if "daemon" in by_name:
            stop(by_name["daemon"])
        try:
            runs = cancel_runs(self.instance) if "code" in by_name and by_name["code"].process.poll() is None else 0
            if runs:
                self.say(f"runs that were under way: {runs}; the next run of each flow carries on where it stopped")
        finally:
            for service in reversed(self.services):
                stop(service)
        close_canceled(self.instance)

    def _begin(self, name: str, module: str, *arguments: str) -> None:
        self.services.append(start(name, module, arguments, os.environ, self.folder))
        write_up(self.folder, Up(self.address, [service.known() for service in self.services]))

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        wait_until(ready, self.services, self.stopping, what=what)

    def _tell(self, reports: str) -> None:
        self.say(f"Dagster  {self.address}")
        self.say(f"reports  {reports}/")
        if self.serving is not None:
            self.say(f"serving  {self.served}")
        self.say(f"logs     {self.folder / LOGS}")
        if self.host not in LOOPBACK:
            self.say(f"Dagster has no login: whoever reaches {self.host} can start runs; reports stay on this machine")
        self.say("Ctrl-C stops everything but the store (navette store stop)")


def _code_answers(socket: Path) -> bool:
    """Whether the code server answers. Raises ConfigurationError when it could not load the project."""
    client = DagsterGrpcClient(socket=str(socket))
    try:
        client.ping("")
        client.list_repositories()
    except DagsterUserCodeUnreachableError:
        return False
    except DagsterUserCodeProcessError as error:
        said = str(error).strip().splitlines()
        raise ConfigurationError(f"Dagster could not load the project: {said[0] if said else error}",
                                 todo="the log of the code server tells more") from None
    return True


def _web_answers(address: str) -> bool:
    with suppress(URLError, OSError), urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310
        return int(answer.status) == 200
    return False


def _serve_answers(address: str) -> bool:
    """Whether it answers at all: at this address nothing is served."""
    try:
        urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - our own, on loopback
    except HTTPError as answer:
        answer.close()
        return True
    except OSError:
        return False
    return True


def _free(host: str, port: int) -> int:
    """The port, if it can be had; a free one for 0. Raises ConfigurationError."""
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    with sockets.socket(family) as probe:
        probe.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"port {port} of {host} cannot be had: {error}",
                todo="name another: navette up --port 3010 --reports-port 3011 --serve-port 8410") from None
        return int(probe.getsockname()[1])


@contextmanager
def stopping_asked() -> Iterator[Event]:
    """An event that Ctrl-C and TERM set, instead of tearing the program down in the middle of something."""
    asked = Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
