"""The command loads what it needs, and leaves at once, with its exit code, all that it said, and all that was to be done at the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = "import atexit, sys, pipelines.cli.leaving as leaving; atexit.register(print, 'put away'); leaving.main = lambda: "


def left(main: str) -> subprocess.CompletedProcess[str]:
    code = f"{BEGIN}{main}; leaving.command()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("main", "code", "error"), [
    ("None", 0, ""), ("sys.exit()", 0, ""), ("sys.exit(3)", 3, ""), ("sys.exit('no such thing')", 1, "no such thing\n"),
])
def test_the_code_and_everything_said_are_there(main: str, code: int, error: str) -> None:
    told = left(f"(print('said'), {main})")
    assert (told.returncode, told.stdout, told.stderr) == (code, "said\nput away\n", error)


def test_what_status_asks_loads_no_pandas_and_without_a_schedule_no_dagster() -> None:
    asked = ("pipelines.cli.status", "pipelines.hub", "pipelines.ops.inbox", "pipelines.ops.leaders", "pipelines.ops.status")
    code = f"import sys, {', '.join(asked)}; print(*{{'pandas', 'pyarrow', 'dagster'}}.intersection(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_an_error_that_nobody_handled_is_told_as_python_does() -> None:
    told = left("1 / 0")
    assert (told.returncode, told.stdout) == (1, "put away\n")
    assert "ZeroDivisionError" in told.stderr
