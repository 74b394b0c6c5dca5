"""kill -9 of the receiver, of the run that takes calls in, and of the store's server: nothing is lost, nothing comes
twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from crm_store.store import Store, admin_connection
from tests.acceptance.test_kill_anywhere import Moment, Place
from tests.http_desk import ENV, Caller, write_project

pytestmark = pytest.mark.slow

CALLS, ROWS = 60, 40


class Called(Place):
    """A project of its own whose calls are served by the real command."""

    def command(self, *words: str) -> subprocess.Popen[str]:
        start = ("from pipelines.runs import applying; from pipelines.stages import land; "
                 f"applying.BATCH_ROWS, land.PAGE_ROWS = {self.batch}, {self.page}; from pipelines.cli import main; main()")
        return subprocess.Popen(
            [sys.executable, "-c", start, "--project", str(self.root), *words], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **ENV, "NAVETTE_HOME": str(self.home), "PYTHONUNBUFFERED": "1"})

    def start(self, day: str) -> subprocess.Popen[str]:
        return self.command("run", day, "--json")

    def serve(self) -> tuple[subprocess.Popen[str], Caller]:
        process = self.command("serve", "--port", "0")
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith("serving: http://127.0.0.1:"), told + str(process.stderr and process.stderr.read())
        return process, Caller(int(told.rsplit(":", 1)[1]))


@pytest.fixture
def place() -> Iterator[Called]:
    root = Path(mkdtemp(prefix="nvh-", dir="/tmp"))
    write_project(root)
    yield Called(root, batch=150, page=300)
    with suppress(Exception):
        Store.stop(root / "home")
    rmtree(root)


def rows_of(number: int) -> list[dict[str, object]]:
    return [{"id": f"{number}-{row}", "version": 1, "name": f"Company {number} {row}",
             "people": [{"no": 1, "name": f"Person {number} {row}"}]} for row in range(ROWS)]


def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice(place: Called) -> None:
    chance = random.Random(5)
    process, caller = place.serve()
    receipts: dict[int, int] = {}

    def call(number: int) -> None:
        answer = caller.post(rows_of(number), key=f"call-{number}")
        while answer.status == 503:  # the store's server was killed: what a caller does then
            time.sleep(0.2)
            answer = caller.post(rows_of(number), key=f"call-{number}")
        assert answer.status in (200, 202), answer.body
        assert receipts.setdefault(number, answer.told["receipt"]) == answer.told["receipt"]

    for kill_after in (7, 25, 41, CALLS):  # in the last round it is the store's server, and then all are answered
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(call, number) for number in range(CALLS)]  # those that were answered, once more
            while kill_after < CALLS and len(receipts) < kill_after:
                time.sleep(0.001)
            if kill_after < CALLS:
                process.kill()
                process.communicate(timeout=30)
            else:
                while not any(one.done() for one in calls):
                    time.sleep(0.001)
                place.kill_server()
        assert not any(isinstance(one.exception(), AssertionError) for one in calls)
        assert kill_after < CALLS or not any(one.exception() for one in calls)
        if kill_after < CALLS:
            process, caller = place.serve()
    process.terminate()
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert len(receipts) == CALLS
    assert place.look("SELECT count(*), count(DISTINCT key) FROM sync.inbox") == [(CALLS, CALLS)]
    assert sorted(receipts.values()) == [row[0] for row in place.look("SELECT id FROM sync.inbox ORDER BY 1")]

    rows = CALLS * ROWS
    killed = [place.run_and_kill("shop_customers", Moment(phase, share, chance.random() / 50, rows), whom)
              for phase, share, whom in (("landing", 0, "client"), ("first", 0.2, "client"), ("first", 0.5, "server"),
                                         ("landing", 0, "server"), ("first", 0.8, "client"))]
    assert sum(killed) >= 3
    assert place.start("shop_customers").wait(600) == 0
    assert place.look("SELECT state, count(*) FROM sync.inbox GROUP BY 1") == [("done", CALLS)]
    assert place.look("SELECT count(*), count(DISTINCT name) FROM crm.company") == [(rows, rows)]
    assert place.look("SELECT count(*), count(DISTINCT last_name) FROM crm.contact") == [(rows, rows)]
    assert place.look("SELECT count(*) FROM sync.journal WHERE op = 'update'") == [(0,)]
    with closing(admin_connection(place.store(), place.store().database)) as connection:
        assert connection.execute("SELECT count(*) FROM sync.run WHERE state IN ('landing', 'landed', 'applying')"
                                  ).fetchone() == (0,)
