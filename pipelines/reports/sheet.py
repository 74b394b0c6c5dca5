"""Facts as CSV: counters, causes and rows in one table, `what` telling which."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pyarrow as pa

from connectors.file.neutral import neutralised
from mappings.words import OUTCOMES
from pipelines.reports.facts import RunFacts

COLUMNS = (
    "run", "flow", "into", "what", "outcome", "code", "field", "count", "sentence", "key", "source", "line", "raw",
)


def run_sheet(facts: RunFacts) -> str:
    """Columns COLUMNS. what: `counter` (outcome and count), `cause` (all of them) or `row` (some rows of each)."""
    same = {"run": str(facts.result.run_id), "flow": facts.result.flow}
    lines = [same | line for line in _lines(facts)]
    columns = [neutralised(pa.array([line.get(name, "") for line in lines], pa.string())) for name in COLUMNS]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*(column.to_pylist() for column in columns), strict=True))
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
