"""`navette init`: the project that it writes runs as its README says, through the real command on its own server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NAVETTE = Path(sys.executable).parent / "navette"


@dataclass(frozen=True)
class Shell:
    """A folder that a person stands in; every command is a process of its own."""

    folder: Path

    def navette(self, *said: str, exit_code: int = 0) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("NAVETTE_")}
        ran = subprocess.run([NAVETTE, *said], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in ran.stderr
        assert ran.returncode == exit_code, ran.stdout + ran.stderr
        return ran.stdout if exit_code == 0 else ran.stdout + ran.stderr

    def json(self, *said: str) -> Any:
        return json.loads(self.navette(*said, "--json"))


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A started project, with its one file read."""
    above = Shell(Path(mkdtemp(prefix="nvi-", dir="/tmp")))
    above.navette("init", "crm")
    shell = Shell(above.folder / "crm")
    try:
        yield shell
    finally:
        shell.navette("store", "stop")
        shutil.rmtree(above.folder)


def test_the_project_runs_as_its_readme_says(shell: Shell) -> None:
    readme = (shell.folder / "README.md").read_text()
    commands = re.findall(r"^navette (.+?)(?:\s+#.*)?$", readme, re.MULTILINE)
    assert {"check", "run customers", "rejects list", "trace erp C0005", "status"} <= set(commands)
    shell.navette("check")
    assert "row C0001 (company): created" in shell.navette("preview", "customers")
    first = shell.json("run", "customers")
    assert {name: first["into"]["company"][name] for name in ("rows_read", "created", "rejected")} == {
        "rows_read": 5, "created": 4, "rejected": 1,
    }
    assert Path(first["report"]).is_file()
    assert "siret: '99900903800019' is not a valid SIRET" in shell.navette("rejects", "list")
    shell.navette("rejects", "export", "customers", "--out", "corrections.csv")
    corrections = shell.folder / "corrections.csv"
    corrections.write_text(corrections.read_text().replace("99900903800019", "99900903800012"))
    second = shell.json("run", "customers", "--file", "corrections.csv")
    assert (second["into"]["company"]["created"], second["into"]["company"]["archived"]) == (1, 0)
    assert shell.json("rejects", "list")["open"]["rejected"] == 0
    traced = shell.json("trace", "erp", "C0005")
    assert [event["kind"] for event in traced["events"]] == ["held", "journal", "linked", "closed"]
    assert traced["records"][0]["values"]["name"] == "Garage Petit"
    status = shell.json("status", "--fail-on-late")
    assert (status["late"], status["flows"][0]["rejected"]) == ([], 0)


def test_a_file_whose_name_fits_no_flow_is_told_and_a_mistyped_one_is_no_failed_run(shell: Shell) -> None:
    odd = shell.folder / "incoming" / "customers_2026-01-07.csv"
    odd.write_text("CODE;NAME\n")
    said = shell.navette("run", "customers")
    assert "customers_2026-01-07.csv" in said
    assert "such as customers_20261122.csv" in said
    odd.unlink()
    for command in ("run", "preview"):
        said = shell.navette(command, "customers", "--file", "corections.csv", exit_code=1)
        assert f"corections.csv: there is no such file in {shell.folder}" in said
        assert f"did you mean {shell.folder / 'corrections.csv'}?" in said
    assert shell.json("status")["flows"][0]["last_run"]["state"] == "done"


def test_reviews_and_rejects_answer_in_lines_and_in_json(shell: Shell) -> None:
    assert "nothing waits" in shell.navette("review", "list")
    assert shell.json("review", "list") == {"runs": [], "rows": [], "conflicts": []}
    assert "no open row can be replayed" in shell.navette("rejects", "replay")
    assert "no key 'C9999'" in shell.navette("trace", "erp", "C9999", exit_code=1)
    assert "which rows?" in shell.navette("rejects", "dismiss", exit_code=1)
    assert "whose value stands?" in shell.navette("review", "conflict", "1", exit_code=1)
    assert "apply it or drop it?" in shell.navette("review", "settle", "1", exit_code=1)
    assert "only a run in review can be settled" in shell.navette("review", "settle", "1", "--approve", exit_code=1)
    told = json.loads(shell.navette("rejects", "list", "nope", "--json", exit_code=1))
    assert (told["error"], told["exit_code"]) == ("there is no flow 'nope'", 1)


def test_a_run_that_waits_is_listed_and_dropped(shell: Shell) -> None:
    lines = "".join(f"X{number};Wrong;123;75001;Paris;;;;\n" for number in range(30))
    (shell.folder / "incoming/customers_20260107.csv").write_text(
        "CODE;NAME;SIRET;POSTCODE;CITY;PHONE;EMAIL;CREDIT;SINCE\n" + lines
    )
    run = json.loads(shell.navette("run", "customers", "--json", exit_code=3))["run_id"]
    listed = shell.navette("review", "list")
    assert "company: 30 of 30 rows were rejected; the guard allows 50%." in listed
    assert "30 rejected: siret: '123' is not a valid SIRET" in listed
    assert f"run {run} waits in review" in shell.navette("status")
    assert shell.json("review", "settle", str(run), "--refuse")["state"] == "refused"
    assert "nothing waits" in shell.navette("review", "list")


def test_a_folder_that_holds_anything_is_refused_and_left_alone(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty" in Shell(tmp_path).navette("init", ".", exit_code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "is a file" in Shell(tmp_path).navette("init", "mine.txt", exit_code=1)
