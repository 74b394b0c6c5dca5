"""The line that a problem is about, with a mark under the place: what a person sees beside the message."""

from __future__ import annotations

from pathlib import Path

from mappings.errors import Problem

WIDEST = 110


def excerpt(problem: Problem, root: Path) -> str | None:
    """Two lines: the source line, cut to the part around the place, and a caret below. None where there is nothing to
    show: a built-in file, a file that is not there, and systems files, which may hold secrets."""
    path = root / problem.file
    if path.name.startswith("systems.") or not path.is_file():
        return None
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    if problem.line > len(lines) or not lines[problem.line - 1].strip():
        return None
    line, at = lines[problem.line - 1].replace("\t", " "), problem.column - 1
    if len(line) > WIDEST:
        start = min(max(0, at - WIDEST // 2), len(line) - WIDEST)
        line, at = f"…{line[start + 1 : start + WIDEST]}", at - start
    number = f"{problem.line:>5}"
    return f"{number} | {line}\n{' ' * len(number)} | {' ' * at}^"
