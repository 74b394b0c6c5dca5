"""A file of many records takes no more memory than one of few: pages are streamed, whatever the format."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.file_desk import FLOW, FileDesk, desk

pytestmark = pytest.mark.slow

__all__ = ["desk"]

CHILD = """
import pickle, resource, sys
from pipelines.runs.pushing import push_flow
from pipelines.stages import file_rows
from tests.file_desk import FileDesk

file_rows.PAGE_ROWS = 2_000
root, store = pickle.loads(bytes.fromhex(sys.stdin.read()))
push_flow(FileDesk(root, store).hub, "customers_out", full=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def megabytes(desk: FileDesk) -> int:
    told = subprocess.run([sys.executable, "-c", CHILD], input=pickle.dumps((desk.root, replace(desk.store))).hex(),
                          text=True, capture_output=True, cwd=Path(__file__).parents[2], check=True)
    return int(told.stdout)


@pytest.mark.parametrize(("suffix", "form"), [("csv", "csv"), ("xlsx", "excel")])
def test_memory_is_bounded_by_the_page(desk: FileDesk, suffix: str, form: str) -> None:
    desk.flow(FLOW.replace('city: CITY', 'notes: NOTES').replace('.csv"', f'.{suffix}"').replace(
        '{csv: {delimiter: ";", encoding: cp1252}}', form))
    grow = "INSERT INTO crm.company (type, name, notes) SELECT 'customer', 'C' || n, repeat('x', 900) FROM generate_series(1, %s) n"
    desk.crm(grow, 2_000)
    few = megabytes(desk)
    desk.crm(grow, 60_000)
    assert megabytes(desk) - few < 30  # the file has 60 MB of text
