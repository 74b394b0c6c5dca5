"""The house rules that a machine can see: sizes, names, directions, lock files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("mappings", "connectors", "crm_store", "pipelines")
FOLDERS = (*PRODUCT, "demo", "benchmarks")
LONGEST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".in", ".sql", ".html", ".csv", ".json", ".cfg", ".sh", ""}
# In two halves, so that this file does not name them either.
FORBIDDEN = ("pypi" + ".org", "python" + "hosted", "index" + "-url", "find" + "-links", "TO" + "DO:", "FIX" + "ME")
STATEMENT = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s.+\sSET|DELETE\s+FROM|(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+)?"
    r"(TABLE|SCHEMA|INDEX|VIEW|ROLE|FUNCTION|TRIGGER|DATABASE)|TRUNCATE\s+TABLE|LOCK\s+TABLE|COPY\s+\S+\s+FROM)\b",
    re.IGNORECASE | re.DOTALL,
)


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def kept_files() -> list[Path]:
    """What the repository holds, told by git where there is one and by the folders where there is none."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout.split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        folders = (*FOLDERS, "tests", "docs", "requirements", ".ci")
        found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
        return [path for path in found if not {"__pycache__", ".navette", "data"} & set(path.parts)]


def test_no_file_outgrows_one_idea() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in sources(*FOLDERS)
            if (lines := len(path.read_text("utf-8").splitlines())) > LONGEST}
    assert long == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [path for path in sources(*FOLDERS) if path.stem in VAGUE or path.parent.name in VAGUE]
    assert vague == []


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    silent = [str(path.relative_to(ROOT)) for path in sources(*FOLDERS)
              if path.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []


@pytest.mark.parametrize("name", ["lock.txt", "bench.txt", "tryton.txt", "uv.txt"])
def test_lock_files_hold_versions_and_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text("utf-8")
    assert "://" not in text
    logical = text.replace("\\\n", " ").splitlines()
    assert logical
    pinned = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line for line in logical if not pinned.fullmatch(line)] == []


def test_nothing_kept_names_a_package_index_or_leaves_work_open() -> None:
    named = []
    for path in kept_files():
        if path.suffix not in TEXT:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        named += [f"{path.relative_to(ROOT)}: {word}" for word in FORBIDDEN if word in text]
    assert named == []


def _text_of(node: ast.AST) -> str:
    """The literal text under `node`, with a word for each part that is computed."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) if isinstance(part, ast.Constant) else "x" for part in node.values)
    return ""


def glued_sql(tree: ast.AST) -> Iterator[int]:
    """Lines where a statement is put together from strings: an f-string, `+`, `%` or `.format`."""
    for node in ast.walk(tree):
        glued: list[ast.AST] = []
        if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values):
            glued = [node]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            glued = [node.left, node.right]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            glued = [node.func.value]
        if any(STATEMENT.search(_text_of(part)) for part in glued):
            yield node.lineno  # type: ignore[attr-defined]


def test_no_statement_is_glued_from_strings() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in sources(*FOLDERS)
             for line in glued_sql(ast.parse(path.read_text("utf-8")))]
    assert found == []


@pytest.mark.parametrize("code", [
    'f"SELECT {column} FROM crm.company"',
    '"DELETE FROM " + table',
    '"INSERT INTO %s VALUES (1)" % table',
    '"UPDATE {} SET x = 1".format(table)',
])
def test_the_search_for_glued_statements_finds_them(code: str) -> None:
    assert list(glued_sql(ast.parse(code)))


@pytest.mark.parametrize("code", [
    'f"{count} rows were selected from {file}"',
    '"SELECT 1 FROM crm.company"',
    'f"update {x}"',
])
def test_the_search_for_glued_statements_leaves_sentences_alone(code: str) -> None:
    assert list(glued_sql(ast.parse(code))) == []


def test_imports_keep_their_directions() -> None:
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
