"""`make demo` from data to last line: every planted fault ends as planted, and the same again changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from crm_store.store import Store

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told() -> Iterator[str]:
    """What the demo printed, run in a folder of its own: another session of pytest takes its own folders back from the
    server's user."""
    folder = Path(mkdtemp(prefix="nvt-demo-", dir="/tmp"))
    done = subprocess.run(
        [sys.executable, "-m", "demo.run", "--in", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        yield done.stdout
    finally:
        Store.stop(folder / ".navette")
        shutil.rmtree(folder)


def test_every_planted_row_ends_as_planted(told: str) -> None:
    assert "Every row ended as it was planted to." in told


def test_rejects_are_told_by_cause(told: str) -> None:
    assert "is not a valid SIRET" in told
    assert "a quote is opened and never closed" in told


def test_a_cut_file_changes_nothing(told: str) -> None:
    assert "compta_balances: failed: the file has no trailer line" in told
    assert "found what they waited for" in told


def test_a_locked_field_refuses_the_edit_and_says_who_owns_it(told: str) -> None:
    assert "mastered by sage" in told
    assert "The segment, which the CRM owns, can be edited" in told


def test_the_same_files_again_change_nothing(told: str) -> None:
    assert ", 0 created or updated." in told


def test_nothing_ends_in_a_traceback(told: str) -> None:
    assert "Traceback" not in told
