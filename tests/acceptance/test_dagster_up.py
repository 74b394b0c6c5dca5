"""`navette up`, once and whole: a file is dropped, the sensor's run succeeds, people see it, everything stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
import pytest
from dagster import DagsterInstance, DagsterRunStatus, job
from dagster._core.storage.tags import GRPC_INFO_TAG

from crm_store.store import Store
from mappings.errors import ConfigurationError
from pipelines.orchestration.instance_folder import Up, only_one, read_up, write_up
from pipelines.orchestration.place import instance_folder
from pipelines.orchestration.runs_left import close_orphans
from tests.acceptance.dagster_project import customers, drop, write_project
from tests.http_desk import signed

pytestmark = pytest.mark.slow

NAVETTE = Path(sys.executable).with_name("navette")
PATIENCE = 240  # seconds; a bound, not a measure
RUNS = """
query($flow: String!) {
  runsOrError(filter: {tags: [{key: "navette/flow", value: $flow}]}) {
    ... on Runs { results { runId status tags { key value } } }
  }
}"""
ASSET = """
query($path: [String!]!) {
  assetOrError(assetKey: {path: $path}) {
    ... on Asset { assetMaterializations(limit: 1) { metadataEntries {
      label ... on IntMetadataEntry { intValue } ... on UrlMetadataEntry { url }
      ... on TableMetadataEntry { table { records } }
    } } }
  }
}"""
CHECKS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode { groupName assetChecksOrError { ... on AssetChecks { checks {
      name executionForLatestMaterialization { status evaluation { success description } }
    } } } }
  }
}"""


SECRET = "a-secret-of-the-shop"
HOOKED = """
flow: shop_customers
system: shop
read: {hook: true}
into: {entity: company, key: id, match: [siret], fields: {city: city, siret: siret}}
"""


@dataclass
class UpAndRunning:
    """A `navette up`, and what it printed."""

    process: subprocess.Popen[str]
    root: Path
    home: Path
    told: dict[str, str] = field(default_factory=dict)

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.told['Dagster']}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert "errors" not in told, told
        return told["data"]

    def until(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(1)
        raise AssertionError(self.logs())

    def logs(self) -> str:
        folder = instance_folder(self.home) / "process_logs"
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(folder.iterdir()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def up(*words: str) -> Iterator[UpAndRunning]:
    """`navette up` with these words, on a project that has something to serve."""
    root = write_project(Path(mkdtemp(prefix="nvt-", dir="/tmp")))
    with (root / "mappings" / "systems.yaml").open("a") as systems:
        systems.write("  shop: {connector: file, hooks: {secret: '${SHOP_HOOK_SECRET}'}}\n")
    (root / "mappings" / "flows" / "shop_customers.yaml").write_text(HOOKED)
    home = root / "state"
    process = subprocess.Popen(
        [NAVETTE, "--project", root, "up", "--port", "0", *words], text=True,
        env=os.environ | {"NAVETTE_HOME": str(home), "SHOP_HOOK_SECRET": SECRET},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
    )
    made = UpAndRunning(process, root, home)
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
            word, _, rest = line.strip().partition(" ")
            made.told[word] = rest.strip()
        assert "Dagster" in made.told, "".join(said)
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)
        Store.stop(home)
        shutil.rmtree(root)


@pytest.fixture
def running() -> Iterator[UpAndRunning]:
    port = free_port()
    with up("--serve-port", str(port)) as made:
        assert made.told["serving"].rpartition(":")[2] == str(port)
        yield made


@pytest.mark.timeout(900)  # three processes of Dagster start: slow on a busy machine
def test_a_dropped_file_comes_in_by_itself_and_stopping_leaves_nothing_behind(running: UpAndRunning) -> None:
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert len(children) >= 4
    assert any("serve" in process.cmdline() for process in children)
    drop(running.root, "customers_20261101.csv", customers(range(1, 31), bad=[3, 7]))

    def ended() -> Any:
        runs = running.ask(RUNS, flow="customers")["runsOrError"]["results"]
        return [run for run in runs if run["status"] in ("SUCCESS", "FAILURE")]

    (run,) = running.until(ended)
    assert run["status"] == "SUCCESS", running.logs()
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["navette/state"], tags["navette/file"]) == ("done", "customers_20261101.csv")
    assert tags["dagster/sensor_name"] == "erp_folder"
    assert [path.name.split(".")[0] for path in (running.root / "drop" / "done").iterdir()] == ["customers_20261101"]

    asset = running.ask(ASSET, path=["erp", "customers"])["assetOrError"]["assetMaterializations"][0]
    metadata = {entry["label"]: entry for entry in asset["metadataEntries"]}
    assert metadata["created"]["intValue"] == 28
    assert len(metadata["held_rows"]["table"]["records"]) == 2
    with urllib.request.urlopen(metadata["report"]["url"], timeout=30) as page:
        assert "customers" in page.read().decode()
    assert metadata["report"]["url"].startswith(running.told["reports"])

    node = running.ask(CHECKS, path=["erp", "customers"])["assetNodeOrError"]
    checks = {check["name"]: check["executionForLatestMaterialization"]
              for check in node["assetChecksOrError"]["checks"]}
    assert node["groupName"] == "erp"
    assert checks["conservation"]["evaluation"]["success"] is True
    assert checks["expect_column_values_to_be_in_set__category"]["evaluation"]["success"] is False
    running.until(lambda: running.ask(ASSET, path=["navette", "status"])["assetOrError"].get("assetMaterializations"))

    answer = call(running.told["serving"], b'{"id": 1, "siret": "73282932000074", "city": "Lyon"}')
    assert answer == {"receipt": 1, "system": "shop", "flow": "shop_customers", "rows": 1}

    again = subprocess.run(
        [NAVETTE, "--project", running.root, "up", "--port", "0"], capture_output=True, text=True, check=False,
        env=os.environ | {"NAVETTE_HOME": str(running.home), "SHOP_HOOK_SECRET": SECRET})
    assert again.returncode == 1
    assert running.told["Dagster"] in again.stderr

    everyone = psutil.Process(running.process.pid).children(recursive=True)
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=PATIENCE)
    assert running.process.returncode == 0
    assert [process for process in {*children, *everyone} if _lives(process)] == []
    assert read_up(instance_folder(running.home)) == Up()


@pytest.mark.timeout(900)
def test_without_serve_nobody_listens_for_calls() -> None:
    port = free_port()
    with up("--serve-port", str(port), "--no-serve") as running:
        assert "serving" not in running.told
        processes = psutil.Process(running.process.pid).children(recursive=True)
        assert not any("serve" in process.cmdline() for process in processes)
        assert port not in {one.laddr.port for process in processes for one in process.net_connections("tcp")}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=30)


def call(address: str, body: bytes) -> dict[str, Any]:
    """What is answered to a signed call, but for the time."""
    request = urllib.request.Request(f"{address}/hooks/shop/shop_customers", body, signed(body, SECRET))
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
        told: dict[str, Any] = json.load(answer)
    del told["received_at"]
    return told


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_mistake_in_the_project_is_told_before_anything_starts(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    flow = root / "mappings" / "flows" / "customers.yaml"
    flow.write_text(flow.read_text().replace("entity: company", "entity: compagny"))
    tried = subprocess.run([NAVETTE, "--project", root, "up", "--port", "0"], capture_output=True, text=True,
                           check=False)
    assert tried.returncode == 1
    assert "mappings/flows/customers.yaml:" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_what_a_killed_one_left_running_is_ended_by_the_next(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        folder = instance_folder(tmp_path)
        folder.mkdir(parents=True)
        seen = psutil.Process(left.pid)
        made = seen.create_time()
        # The second number was given to another program since: that one is not ours to end.
        write_up(folder, Up("http://127.0.0.1:1", [(left.pid, made), (stranger.pid, made - 1000)]))
        with only_one(tmp_path):
            assert not _lives(seen)
            assert stranger.poll() is None
    finally:
        left.kill()
        stranger.kill()
        left.wait()
        stranger.wait()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with only_one(tmp_path) as folder:
        write_up(folder, Up("http://127.0.0.1:3000"))
        with pytest.raises(ConfigurationError, match=r"up already, at http://127\.0\.0\.1:3000"), only_one(tmp_path):
            pass


def test_runs_whose_code_server_is_gone_are_not_shown_as_running() -> None:
    @job
    def nothing() -> None:
        pass

    with DagsterInstance.local_temp() as instance:
        orphan = instance.create_run_for_job(
            nothing, status=DagsterRunStatus.STARTED,
            tags={GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/nowhere/code.sock"})},
        )
        other = instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED)
        assert close_orphans(instance) == 1
        ended, untouched = instance.get_run_by_id(orphan.run_id), instance.get_run_by_id(other.run_id)
        assert ended is not None
        assert untouched is not None
        assert (ended.status, untouched.status) == (DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED)
