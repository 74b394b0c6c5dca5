"""kill -9 while a file is written: at every step, and at random; no file twice, no number left out, never half of one."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mappings.errors import RunStopped
from tests.file_desk import FLOW, FileDesk, desk

pytestmark = pytest.mark.slow

__all__ = ["desk"]

CHILD = """
import os, pickle, resource, signal, sys
from pipelines.runs import push_file
from pipelines.runs.pushing import push_flow
from pipelines.stages import file_rows
from tests.file_desk import FileDesk

root, store, step, moment, room = pickle.loads(bytes.fromhex(sys.stdin.read()))
file_rows.PAGE_ROWS = 500
if room:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
if step:
    known = getattr(push_file, step)
    def killing(*args, **said):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        known(*args, **said)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(push_file, step, killing)
from mappings.errors import NavetteError
try:
    push_flow(FileDesk(root, store).hub, "customers_out", full="full" in sys.argv)
except NavetteError as error:
    sys.exit(f"{type(error).__name__}: {error.message}")
"""
STEPS = [(step, moment) for step in ("begin_file", "claimed_count", "open_writer", "content_digest", "safe", "note_ready",
                                     "publish", "note_delivered", "_end") for moment in ("before", "after")]
TRAILER = FLOW.replace("  reference: ID", "  reference: ID\n  trailer: {by: ID, is: END, rows: NAME}")


def push_apart(desk: FileDesk, step: str = "", moment: str = "", room: int = 0, *said: str) -> subprocess.Popen[str]:
    """A push in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, *said], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((desk.root, replace(desk.store), step, moment, room)).hex())
    process.stdin.close()
    process.stdin = None
    return process


class Reader:
    """The other machine: takes whole files as they come, and keeps what each said of every record."""

    def __init__(self, desk: FileDesk) -> None:
        self.desk, self.taken, self.names = desk, list[str](), dict[str, str]()

    def take(self) -> None:
        for name in self.desk.there():
            if name.startswith("."):
                continue
            head, *rows, last = self.desk.lines(name)
            assert head == "ID;NAME;CITY;CREDIT"
            assert last == f"END;{len(rows)};;"  # whole
            self.taken.append(name)
            self.names |= dict(row.split(";")[:2] for row in rows)
            (self.desk.out / name).unlink()


def expect_series(desk: FileDesk, reader: Reader) -> None:
    """Every number once, nothing left over, and the reader knows every record as it is."""
    assert reader.taken == [f"customers_{number:04d}.csv" for number in range(1, len(reader.taken) + 1)]
    assert [number for number, state in desk.numbers() if state == "delivered"] == list(
        range(1, len(reader.taken) + 1))
    assert desk.there() == []
    assert desk.markers() == []
    assert reader.names == {str(number): name for number, name in desk.crm("SELECT id, name FROM crm.company")}
    assert desk.sees("SELECT count(*) FROM sync.run WHERE state NOT IN ('done', 'failed')") == [(0,)]


@pytest.mark.parametrize(("step", "moment", "taking"), [
    *((*one, True) for one in STEPS), ("publish", "after", False), ("note_delivered", "before", False)])
def test_killed_at_any_step_the_series_has_no_gap_and_no_repeat(desk: FileDesk, step: str, moment: str, taking: bool
                                                                ) -> None:
    desk.flow(TRAILER)
    a, b, c = desk.company("A"), desk.company("B"), desk.company("C")
    reader = Reader(desk)
    desk.push()
    reader.take()
    desk.rename(a, "A2")
    desk.rename(b, "B2")
    killed = push_apart(desk, step, moment)
    _, err = killed.communicate(timeout=120)
    assert killed.returncode == -9, err
    if taking:
        reader.take()
    desk.rename(b, "B3")
    desk.rename(c, "C2")
    desk.push()
    reader.take()
    assert desk.push().files == []
    reader.take()
    expect_series(desk, reader)


@pytest.mark.parametrize("step", ["open_writer", "publish", "note_delivered"])
def test_a_killed_full_file_is_finished_and_not_written_twice(desk: FileDesk, step: str) -> None:
    desk.flow(TRAILER)
    desk.company("A")
    reader = Reader(desk)
    killed = push_apart(desk, step, "before", 0, "full")
    killed.communicate(timeout=120)
    assert killed.returncode == -9
    assert desk.push(full=True).files == ["customers_0001.csv"]
    reader.take()
    expect_series(desk, reader)


def test_killed_at_random_while_people_edit(desk: FileDesk) -> None:
    desk.flow(TRAILER)
    desk.crm("INSERT INTO crm.company (type, name) SELECT 'customer', 'C' || n FROM generate_series(1, 6000) n")
    reader, chance = Reader(desk), random.Random(11)
    for _ in range(6):
        process = push_apart(desk)
        time.sleep(chance.uniform(1.0, 4.0))
        desk.crm("UPDATE crm.company SET name = name || '.' WHERE id %% 7 = %s", chance.randrange(7))
        process.kill()
        process.communicate(timeout=120)
        reader.take()
    desk.push()
    reader.take()
    desk.push()
    reader.take()
    expect_series(desk, reader)


def test_a_disk_that_is_full_is_told_and_changes_nothing(desk: FileDesk) -> None:
    desk.flow(TRAILER)
    desk.crm("INSERT INTO crm.company (type, name) SELECT 'customer', 'C' || n FROM generate_series(1, 2000) n")
    process = push_apart(desk, "", "", 10_000)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.strip() == "RunStopped: the file cannot be written: File too large"
    assert desk.there() == []
    assert desk.numbers() == []
    assert {state for _, state, _ in desk.markers()} == {"waiting"}
    assert desk.push().files == ["customers_0001.csv"]


def test_what_is_edited_while_its_file_is_written_is_in_the_next_one(desk: FileDesk, monkeypatch: pytest.MonkeyPatch
                                                                     ) -> None:
    from pipelines.runs import push_file

    a = desk.company("A")
    written = push_file.note_ready

    def meanwhile(*said: object) -> None:
        desk.rename(a, "A2")
        written(*said)  # type: ignore[arg-type]

    monkeypatch.setattr(push_file, "note_ready", meanwhile)
    desk.push()
    monkeypatch.setattr(push_file, "note_ready", written)
    assert desk.lines("customers_0001.csv")[1:] == [f"{a};A;;"]
    desk.push()
    assert desk.lines("customers_0002.csv")[1:] == [f"{a};A2;;"]
    assert desk.push().files == []


def test_a_file_of_another_hand_that_comes_in_between_is_not_written_over(desk: FileDesk) -> None:
    a = desk.company("A")
    killed = push_apart(desk, "publish", "before")
    killed.communicate(timeout=120)
    (desk.out / "customers_0001.csv").write_text("mine")
    with pytest.raises(RunStopped, match="already"):
        desk.push()
    (desk.out / "customers_0001.csv").unlink()
    assert desk.push().files == ["customers_0001.csv"]
    assert desk.lines("customers_0001.csv")[1:] == [f"{a};A;;"]
