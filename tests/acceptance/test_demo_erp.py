"""`make demo-erp` from an empty folder to its last line, on a real Tryton and an accounting database."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest

from crm_store.store import Store

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # the first on a machine sets Tryton up


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folder: another pytest that begins closes that to PostgreSQL's user."""
    made = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[str]:
    """What the demo printed."""
    done = subprocess.run(
        [sys.executable, "-m", "demo.erp", "--in", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        yield done.stdout
    finally:
        Store.stop(folder / ".navette")


def test_everything_that_tryton_has_comes_in(told: str) -> None:
    loaded = {line.split()[0]: line.split() for line in told.splitlines() if " done " in line}
    assert {name: words[4] for name, words in loaded.items() if words[4] != "·"} == {
        "tryton_parties": "300", "tryton_employees": "10", "tryton_products": "50", "tryton_timesheets": "60",
        "tryton_addresses": "300", "tryton_sales": "40", "tryton_sale_lines": loaded["tryton_sale_lines"][3],
        "accounting_receivables": loaded["accounting_receivables"][3],
    }


def test_accounting_brings_no_company_twice(told: str) -> None:
    [debtors] = [line.split() for line in told.splitlines() if line.startswith("accounting_debtors") and " done " in line]
    assert (debtors[3], debtors[4], debtors[5]) == ("300", "·", "300"), "read, none created, all updated"


def test_what_was_typed_into_the_crm_is_made_there_and_its_number_comes_back(told: str) -> None:
    assert re.search(r"Tryton made party (\d+): Chaudronnerie Martin-Leroy, .*69002 Lyon", told)
    assert "Of the prospect Tryton knows nothing" in told
    assert re.search(r"with the new customer's number, \d+, brought in", told)
    assert re.search(r"Accounting made debtor 411\d{5}\.", told)


@pytest.mark.parametrize("what", [
    "name,  CRM ─▶ Tryton", "phone, CRM ─▶ Tryton", "name,  Tryton ─▶ CRM", "phone, Tryton ─▶ CRM",
    "city,  Tryton ─▶ CRM", "limit, accounting ─▶ CRM", "open item, accounting ─▶ CRM",
    "its payment, accounting ─▶ CRM"])
def test_an_edit_arrives_on_the_other_side_by_itself(told: str, what: str) -> None:
    assert re.search(re.escape(what) + r": arrived after \d+\.\d\d s", told)


@pytest.mark.parametrize("what", ["name,  Tryton ─▶ CRM ─▶ accounting", "phone, accounting ─▶ CRM ─▶ Tryton"])
def test_an_edit_in_one_system_arrives_in_the_other_through_the_crm(told: str, what: str) -> None:
    assert re.search(re.escape(what) + r": arrived after \d+\.\d\d s", told)


def test_a_conflict_is_settled_as_the_mapping_says_and_the_losers_stay_readable(told: str) -> None:
    assert re.search(r"the CRM has +Tryton's name, crm@both.example", told)
    assert re.search(r"Tryton has +Tryton's name, crm@both.example", told)
    assert re.search(r"accounting has +Tryton's name, crm@both.example", told)
    assert "Tryton's name stands, not the CRM's The CRM's name" in told
    assert "the CRM's crm@both.example stands, not tryton@both.example" in told


def test_a_locked_field_refuses_the_edit_and_says_who_owns_it(told: str) -> None:
    assert "is mastered by tryton and locked" in told
    assert "The segment, which the CRM owns, can be edited" in told
    assert re.search(r"credit_limit of company \d+ is mastered by accounting and locked", told)


def test_a_second_pass_writes_nothing_anywhere(told: str) -> None:
    assert ", 0 created or updated in the CRM, 0 sent." in told
    assert re.search(r"Of 1,\d\d\d records in Tryton 0 have another write stamp", told)
    assert re.search(r"of 7\d\d rows in accounting 0\.", told)


def test_nothing_of_it_runs_on(told: str, folder: Path) -> None:
    assert "Traceback" not in told
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])
            if any(str(folder) in word for word in process.info["cmdline"] or ())]
    assert left == []
