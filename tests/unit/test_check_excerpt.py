"""A problem is shown with its line and a mark under the place; never a line that may hold a secret."""

from __future__ import annotations

from pathlib import Path

from mappings.check.excerpt import excerpt
from mappings.errors import Problem


def at(line: int, column: int, file: str = "flow.yaml") -> Problem:
    return Problem(file, line, column, "no")


def test_the_line_is_shown_with_a_mark_under_the_place(tmp_path: Path):
    (tmp_path / "flow.yaml").write_text("flow: a\ninto:\n  kye: CODE\n", "utf-8")
    assert excerpt(at(3, 3), tmp_path) == "    3 |   kye: CODE\n      |   ^"


def test_a_long_line_is_cut_around_the_place(tmp_path: Path):
    (tmp_path / "flow.yaml").write_text("x" * 300 + "Y" + "z" * 300, "utf-8")
    shown = excerpt(at(1, 301), tmp_path)
    assert shown is not None
    line, mark = shown.splitlines()
    assert len(line) <= 120
    assert line[mark.index("^")] == "Y"


def test_systems_are_never_shown(tmp_path: Path):
    for name in ("systems.yaml", "systems.prod.yaml"):
        (tmp_path / name).write_text("systems: {a: {password: secret}}\n", "utf-8")
        assert excerpt(at(1, 1, name), tmp_path) is None


def test_there_is_nothing_to_show_of_a_file_that_is_not_there_or_not_text(tmp_path: Path):
    (tmp_path / "flow.yaml").write_bytes(b"a: \xff\n")
    assert excerpt(at(1, 1), tmp_path) is None
    assert excerpt(at(1, 1, "none.yaml"), tmp_path) is None
    assert excerpt(at(1, 1, "."), tmp_path) is None
