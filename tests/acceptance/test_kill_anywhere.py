"""kill -9 at random moments, of the command and of the server: afterwards all is as if nothing had happened.

Two days of one flow, with parents, cycles, children, refusals and repeated keys, are run undisturbed; then again in a
home of its own, killed over and over. Records, crosswalk, journal, held rows and counters are compared by key.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import psutil
import psycopg
import pytest

from crm_store.store import Store, admin_connection
from mappings.words import OUTCOMES
from pipelines.hub import open_hub

pytestmark = pytest.mark.slow

FLOW = """
flow: companies
system: erp
read: {files: "CLI_{day:%Y%m%d}.csv", full: true, format: {csv: {delimiter: ";"}}}
into:
  - entity: company
    key: CODE
    match: [registration]
    absent: archive
    fields:
      name: {from: NAME, required: true}
      registration: REG
      notes: NOTES
      parent: {from: GROUP, refers: company}
  - entity: address
    owner: {entity: company, role: billing}
    key: CODE
    fields: {city: CITY}
"""
FILES = {
    "mappings/systems.yaml": "systems: {erp: {connector: file, folder: drop}}\n",
    "mappings/entities/company.yaml": "entity: company\nmasters: {name: erp, archived: erp, else: shared}\n",
    "mappings/flows/companies.yaml": FLOW,
}
START = ("from pipelines.runs import applying; from pipelines.stages import land; "
         "applying.BATCH_ROWS, land.PAGE_ROWS = {batch}, {page}; from pipelines.cli import main; main()")
DAYS = ("CLI_20260105.csv", "CLI_20260106.csv")


def write_days(folder: Path, rows: int) -> None:
    """Monday with every kind of row, Tuesday with some changed, some new and some gone."""
    chance = random.Random(7)
    head = "CODE;NAME;REG;NOTES;GROUP;CITY"
    monday, tuesday = [head], [head]
    for number in range(rows):
        group = {1: number + 1, 2: number - 1, 5: number + 2, 7: number - 3, 11: rows * 2}.get(number % 40, "")
        name = "" if number % 500 == 3 else f"Company {number}"
        cells = [number, name, f"R{number}", f"note {number % 9}", group, "Lille"]
        line = ";".join(map(str, cells))
        monday.append(line)
        if number % 300 == 8:
            monday.append(line.replace("Company", "Repeated"))
        if number % 900 == 13:
            monday.append("one;damaged")
        if chance.random() < 0.1:
            line = line.replace("note", "changed")
        if number % 200 != 17:
            tuesday.append(line)
    tuesday += [f"{number};Company {number};R{number};new;;Paris" for number in range(rows, rows + rows // 50)]
    folder.mkdir(parents=True)
    for name, lines in zip(DAYS, (monday, tuesday), strict=True):
        (folder / name).write_text("\n".join(lines) + "\n")


@dataclass
class Place:
    """A project with a home, and so a server, of its own."""

    root: Path
    batch: int
    page: int
    log: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.root / "home"

    def store(self) -> Store:
        return Store.open(self.home)

    def start(self, day: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", START.format(batch=self.batch, page=self.page), "--project", str(self.root),
                   "run", "companies", "--file", str(self.root / "files" / day), "--json"]
        return subprocess.Popen(command, env={**os.environ, "NAVETTE_HOME": str(self.home)}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, day: str) -> dict[str, Any]:
        process = self.start(day)
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, out[-2000:] + err[-2000:]
        return json.loads(out)

    def look(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        store = self.store()
        with closing(admin_connection(store, store.database)) as connection:
            return connection.execute(statement, values or None).fetchall()  # type: ignore[arg-type]

    def kill_server(self) -> None:
        """The postmaster first, so that it restarts nothing, then its children; by their ids."""
        pid = int((next(self.home.rglob("postmaster.pid"))).read_text().split()[0])
        postmaster = psutil.Process(pid)
        children = postmaster.children(recursive=True)
        for process in [postmaster, *children]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs([postmaster, *children], timeout=30)

    def run_and_kill(self, day: str, moment: Moment, whom: str) -> bool:
        """Starts the run and kills it at that moment; False when it had ended by then."""
        before = self.look("SELECT coalesce(max(id), 0) FROM sync.run")[0][0]
        process = self.start(day)
        store = self.store()
        with closing(admin_connection(store, store.database)) as connection:
            while process.poll() is None and not moment.has_come(connection, before):
                time.sleep(0.003)
        time.sleep(moment.later)
        alive = process.poll() is None
        if whom == "server":
            self.kill_server()
            _, err = process.communicate(timeout=120)
            assert "Traceback" not in err, err[-3000:]
            assert process.returncode in (0, 4)
        else:
            process.kill()
            process.communicate(timeout=30)
        return alive


@dataclass(frozen=True)
class Moment:
    """While landing, or when this share of the rows is applied, or when waiting rows are; and a little later."""

    phase: str
    share: float
    later: float
    rows: int

    def has_come(self, connection: psycopg.Connection[Any], before: int) -> bool:
        row = connection.execute(
            "SELECT state, (cursor->>'into')::int, (cursor->>'row')::int, cursor->>'phase' FROM sync.run"
            " WHERE state IN ('landing', 'landed', 'applying') ORDER BY id DESC LIMIT 1").fetchone()
        if row is None:
            return False
        state, into, done, phase = row
        if self.phase == "landing":
            return True
        if state != "applying":
            return False
        if self.phase == "waiting":
            return phase in ("waiting", "absent")
        return phase != "first" or (into * self.rows + done) >= self.share * 2 * self.rows


def picture(place: Place) -> dict[str, Any]:
    """Everything that must not depend on kills; ids of records are replaced by the keys they are known by."""
    known = {record: f"{entity} {key}" for entity in ("company", "address") for record, key in place.look(
        f"SELECT record_id, key FROM sync.crosswalk_{entity}")}

    def keyed(values: dict[str, Any] | None) -> str:
        told = {name: known.get(value, value) if name in ("parent", "company") else value
                for name, value in (values or {}).items()}
        return json.dumps(told, sort_keys=True, default=str)

    seen: dict[str, Any] = {}
    for entity in ("company", "address"):
        seen[entity] = {known.get(row["id"], "unknown"): keyed(row) for (row,) in place.look(
            "SELECT to_jsonb(r) - 'created_at' - 'updated_at' || jsonb_build_object('archived_at',"
            f" archived_at IS NOT NULL) FROM crm.{entity} r")}
        seen[entity] = {key: told.replace(f'"id": {record_of(told)}, ', "") for key, told in seen[entity].items()}
        seen[f"{entity} entries"] = {key: keyed(row) for key, row in place.look(
            f"SELECT key, to_jsonb(x) - 'record_id' - 'run_id' - 'row_no' - 'linked_at' - 'id_space' - 'feed'"
            f" - 'base_set' - 'b_parent' - 'b_company' || jsonb_build_object('absent_since', absent_since IS NOT NULL,"
            f" 'parent', b_{'parent' if entity == 'company' else 'company'}, 'fields', s.fields)"
            f" FROM sync.crosswalk_{entity} x LEFT JOIN sync.field_set s ON s.id = x.base_set")}
    seen["journal"] = Counter(
        (known.get(record, "unknown"), op, system, without_times(keyed(old)), without_times(keyed(new)))
        for record, op, system, old, new in place.look("SELECT record_id, op, system, old, new FROM sync.journal"))
    seen["held"] = sorted(map(str, place.look(
        "SELECT outcome, state, key, code, line, raw::text, raw_text FROM sync.held")))
    seen["counters"] = {
        (Path(source).name, label): tuple(counts) for source, label, *counts in place.look(
            f"SELECT DISTINCT ON (r.source, f.label) r.source, f.label, i.rows_read, i.archived, i.unlinked,"
            f" {', '.join(f'i.{outcome}' for outcome in OUTCOMES)} FROM sync.run r"
            " JOIN sync.run_into i ON i.run_id = r.id JOIN sync.feed f ON f.id = i.feed"
            " WHERE r.state = 'done' AND r.trigger = 'cli' ORDER BY r.source, f.label, r.id")}
    seen["staging"] = place.look("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")
    return seen


def record_of(told: str) -> int:
    return int(json.loads(told)["id"])


def without_times(told: str) -> str:
    values = json.loads(told)
    return json.dumps({name: value is not None if name == "archived_at" else value for name, value in values.items()})


@dataclass
class Pair:
    """An undisturbed place's picture, and another to disturb."""

    calm: dict[str, Any]
    place: Place
    rows: int


def make_pair(rows: int, batch: int, page: int) -> Iterator[Pair]:
    places = []
    try:
        for _ in range(2):
            root = Path(mkdtemp(prefix="nvk-", dir="/tmp"))
            place = Place(root, batch, page)
            places.append(place)
            for name, text in FILES.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            write_days(root / "files", rows)
            store = open_hub(root, {"NAVETTE_HOME": str(place.home)}).store
            store.let_go()
            with closing(admin_connection(store)) as admin:
                # What a killed process has written is the system's to keep; only a power cut needs fsync.
                admin.execute("ALTER SYSTEM SET fsync = off")
                admin.execute("SELECT pg_reload_conf()")
        for day in DAYS:
            assert places[0].finish(day)["state"] == "done"
        calm = picture(places[0])
        Store.stop(places[0].home)
        yield Pair(calm, places[1], rows)
    finally:
        for place in places:
            Store.stop(place.home)
            rmtree(place.root)


@pytest.fixture(scope="module")
def short_pair() -> Iterator[Pair]:
    yield from make_pair(20_000, 2_000, 4_000)


@pytest.fixture
def long_pair() -> Iterator[Pair]:
    yield from make_pair(200_000, 10_000, 20_000)


def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(short_pair: Pair) -> None:
    chance = random.Random()
    seed = os.environ.get("NAVETTE_KILL_SEED") or str(chance.randrange(1 << 30))
    chance.seed(seed)
    rows = short_pair.rows
    kills = [
        (DAYS[0], Moment("landing", 0, chance.uniform(0, 0.6), rows), "command"),
        (DAYS[0], Moment("first", chance.uniform(0, 0.5), chance.uniform(0, 0.1), rows), "command"),
        (DAYS[0], Moment("first", chance.uniform(0.5, 0.9), chance.uniform(0, 0.1), rows), "server"),
        (DAYS[1], Moment("first", chance.uniform(0, 0.9), chance.uniform(0, 0.1), rows),
         chance.choice(["command", "server"])),
    ]
    disturb(short_pair, kills, seed)


@pytest.mark.long
def test_twenty_kills_of_long_runs_leave_no_trace(long_pair: Pair) -> None:
    chance = random.Random()
    seed = os.environ.get("NAVETTE_KILL_SEED") or str(chance.randrange(1 << 30))
    chance.seed(seed)
    kills = []
    for day in DAYS:
        shares = sorted(chance.uniform(0, 0.95) for _ in range(6))
        kills += [(day, Moment("landing", 0, chance.uniform(0, 4), long_pair.rows), whom)
                  for whom in ("command", "server")]
        kills += [(day, Moment("first", share, chance.uniform(0, 0.5), long_pair.rows), ("command", "server")[turn % 2])
                  for turn, share in enumerate(shares)]
        kills += [(day, Moment("waiting", 0, chance.uniform(0, 0.5), long_pair.rows), whom)
                  for whom in ("command", "server")]
    assert disturb(long_pair, kills, seed) >= 15


def disturb(pair: Pair, kills: list[tuple[str, Moment, str]], seed: str) -> int:
    """Runs both days under these kills, then compares with the undisturbed; returns how many hit a run at work."""
    hit = 0
    for day in DAYS:
        for killed_day, moment, whom in kills:
            if killed_day == day:
                struck = pair.place.run_and_kill(day, moment, whom)
                print(f"seed {seed}: {day} {moment.phase} {moment.share:.2f} +{moment.later:.2f}s {whom}"
                      f" {'killed' if struck else 'had ended'}")
                hit += struck
        assert pair.place.finish(day)["state"] == "done", f"seed {seed}"
    found = picture(pair.place)
    for name, calm in pair.calm.items():
        assert found[name] == calm, f"seed {seed}: {name}"
    return hit
