"""Code tables: mappings/codes/NAME.csv, two columns with the headers raw and crm."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mappings.errors import Problem
from mappings.language.node import Spot

LARGEST = 20_000_000


def read_codes(path: Path, shown_as: str) -> tuple[dict[str, str], list[Problem]]:
    """Raw code to CRM value, trimmed; comma or semicolon, UTF-8. A code may not have two meanings."""
    start = Spot(shown_as)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        return {}, [start.problem(f"cannot be read: {error.strerror or type(error).__name__}")]
    if len(content) > LARGEST:
        return {}, [start.problem(f"larger than {LARGEST // 1_000_000} MB")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        bad = content[error.start]
        return {}, [Problem(shown_as, line, 1, f"byte 0x{bad:02X} is not UTF-8; save the file as UTF-8")]
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    codes: dict[str, str] = {}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if header != ["raw", "crm"]:
            return {}, [start.problem("the first line must be: raw,crm")]
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != 2:
                problems.append(Problem(shown_as, line, 1, f"expected two cells, raw and crm, not {len(cells)}"))
                continue
            raw, crm = cells[0].strip(), cells[1].strip()
            if codes.get(raw, crm) != crm:
                message = f"the code {raw!r} means {crm!r} here and {codes[raw]!r} on line {seen[raw]}"
                problems.append(Problem(shown_as, line, 1, message))
            codes.setdefault(raw, crm)
            seen.setdefault(raw, line)
    except csv.Error as error:
        problems.append(Problem(shown_as, max(reader.line_num, 1), 1, f"not a CSV file: {error}"))
    return codes, problems
