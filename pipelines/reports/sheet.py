"""Facts as CSV: counters, causes and rows in one table, `what` telling which."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

from mappings.words import OUTCOMES
from pipelines.reports.facts import RunFacts

COLUMNS = (
    "run", "flow", "into", "what", "outcome", "code", "field", "count", "sentence", "key", "source", "line", "raw",
)


_EXECUTED = re.compile(r"\s*[=+\-@|]")
_NUMBER = re.compile(r"[+-]?[\d\s.,]+")


def run_sheet(facts: RunFacts) -> str:
    """Columns COLUMNS. what: `counter` (outcome and count), `cause` (all of them) or `row` (some rows of each)."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    same = {"run": str(facts.result.run_id), "flow": facts.result.flow}
    for line in _lines(facts):
        writer.writerow({name: _neutral(value) for name, value in (same | line).items()})
    return sink.getvalue()


def _lines(facts: RunFacts) -> Iterator[dict[str, str]]:
    for label, counts in facts.counters.items():
        for name in ("rows_read", *OUTCOMES, "archived", "unlinked", "conflicts"):
            yield {"into": label, "what": "counter", "outcome": name, "count": str(counts[name])}
    for sampled in facts.causes:
        cause = sampled.cause
        yield {
            "into": cause.into, "what": "cause", "outcome": cause.outcome, "code": cause.code, "field": cause.field,
            "count": str(cause.count), "sentence": cause.sentence, "source": cause.source or "",
            "line": str(cause.first_line or ""),
        }
    for row in facts.rows:
        for one in row.causes:
            yield {
                "into": row.into, "what": "row", "outcome": row.outcome, "code": one.code, "field": one.field,
                "sentence": one.sentence, "key": row.key or "", "source": row.source or "",
                "line": str(row.line or ""),
                "raw": row.raw_text if row.raw_text is not None else json.dumps(row.raw, ensure_ascii=False),
            }


def _neutral(text: str) -> str:
    """A cell that a spreadsheet would execute gets an apostrophe before it."""
    return f"'{text}" if _EXECUTED.match(text) and not _NUMBER.fullmatch(text) else text
