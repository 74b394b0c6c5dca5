"""A run's result as Dagster shows it: metadata with counters, rates, tables and links; tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableRecord, TableSchema

from mappings.words import OUTCOMES
from pipelines.hub import Hub
from pipelines.ops.sentences import guard_lines
from pipelines.orchestration.held import held_sample
from pipelines.orchestration.names import TAG_FILE, TAG_FLOW, TAG_RUN, TAG_STATE, TAG_SYSTEM
from pipelines.orchestration.place import report_url
from pipelines.runs.result import EXIT_CODES, RunResult

_SHOWN = 200
"""Characters of one cell of a table."""
_FILES = 5
"""File names in a run's tag."""

Metadata = dict[str, Any]


def table(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> MetadataValue[Any]:
    """A table; `columns` is name to type (string, int, float, datetime)."""
    schema = TableSchema(
        columns=[TableColumn(name, kind, constraints=TableColumnConstraints(nullable=True))
                 for name, kind in columns.items()]
    )
    records = [TableRecord({name: _cell(value) for name, value in zip(columns, row, strict=True)}) for row in rows]
    return MetadataValue.table(records=records, schema=schema)


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def worst(results: Sequence[RunResult]) -> RunResult:
    """The one that a person should look at first."""
    return max(results, key=lambda result: EXIT_CODES[result.state])


def run_metadata(hub: Hub, results: Sequence[RunResult]) -> Metadata:
    """What one Dagster run shows of the runs of a flow (one per file): sums, then tables and links."""
    totals: dict[str, int] = {name: sum(result.total(name) for result in results) for name in OUTCOMES}
    read = sum(result.rows_read for result in results)
    judged = sum(result.total("rows_read") for result in results)  # a row counts in each into
    seconds = sum(result.seconds for result in results)
    told: Metadata = {"state": worst(results).state, **links(results)}
    for result in results:
        if result.problem:
            told["problem"] = MetadataValue.md(problem_text(result))
    told |= {"rows_read": read, **totals}
    told["archived"] = sum(result.total("archived") for result in results)
    told["conflicts"] = sum(result.total("conflicts") for result in results)
    told["reject_ratio"] = round(totals["rejected"] / judged, 4) if judged else 0.0
    told["seconds"] = round(seconds, 2)
    told["rows_per_second"] = round(read / seconds, 1) if seconds else 0.0
    told |= held_table(hub, results)
    told["files"] = table(
        {"source": "string", "run": "int", "state": "string", "rows": "int", "read_as": "string", "detected": "string"},
        [(Path(r.source).name, r.run_id, r.state, r.rows_read, "everything" if r.full else "changes",
          ", ".join(f"{key}: {value}" for key, value in sorted(r.detected.items()))) for r in results],
    )
    if sum(len(result.into) for result in results) > 1:
        told["outcomes"] = _outcomes(results)
    for result in results:
        if result.sent is not None:
            for name in ("created", "updated", "archived", "deleted", "refused", "waiting"):
                told[f"sent_{name}"] = told.get(f"sent_{name}", 0) + result.sent.counts[name]
    notices = [f"- {notice}" for result in results
               for notice in (*result.notices, *(result.sent.held if result.sent else ()))]
    if notices:
        told["notices"] = MetadataValue.md("\n".join(notices))
    return told


def _outcomes(results: Sequence[RunResult]) -> MetadataValue[Any]:
    rows = [
        (result.run_id, label, counts["entity"], counts["rows_read"], *[counts[name] for name in OUTCOMES],
         counts["archived"])
        for result in results for label, counts in result.into.items()
    ]
    numbers = ("read", *OUTCOMES, "archived")
    return table({"run": "int", "into": "string", "entity": "string", **dict.fromkeys(numbers, "int")}, rows)


def held_table(hub: Hub, results: Sequence[RunResult]) -> Metadata:
    """A sample of the rows held back, with their reasons; nothing when there are none."""
    intos: dict[tuple[str, str, str | None, str], list[str]] = {}
    for result in results:
        for row in held_sample(hub, result):
            # A damaged line is held in every into: it is told once.
            line = "; ".join(cause.sentence for cause in row.causes), row.where, row.key, row.outcome
            intos.setdefault(line, []).append(row.into)
    columns = dict.fromkeys(("reason", "where", "key", "outcome", "into"), "string")
    return {"held_rows": table(columns, [(*line, ", ".join(into)) for line, into in intos.items()])} if intos else {}


def links(results: Sequence[RunResult]) -> Metadata:
    """The report of the run that matters most, its file of rejects, and every report where there are several."""
    found: Metadata = {}
    first = worst(results)
    if first.report:
        page = Path(first.report)
        found["report"] = link(page)
        rejects, validation = page.with_suffix(".csv"), page.with_name(f"{page.stem}_validation") / "index.html"
        found |= {name: link(path) for name, path in (("rejects_file", rejects), ("validation", validation))
                  if path.is_file()}
    others = [result for result in results if result.report and result is not first]
    if others:
        found["reports"] = MetadataValue.md("\n".join(
            f"- [run {other.run_id}]({report_url(Path(str(other.report))) or other.report})" for other in others
        ))
    return found


def link(path: Path) -> MetadataValue[Any]:
    """An address where the file is served, its path where it is not: a web page cannot open file://."""
    url = report_url(path)
    return MetadataValue.url(url) if url else MetadataValue.path(path)


def problem_text(result: RunResult) -> str:
    """Why the run failed or waits, and what to do, as Markdown."""
    problem = result.problem or {}
    lines = [f"**Run {result.run_id} of {result.flow}: {result.state}.**"]
    if problem.get("message"):
        where = f"{problem['where']}: " if problem.get("where") else ""
        lines.append(f"{where}{problem['message']}")
    lines += guard_lines(problem.get("tripped") or [])
    if problem.get("todo"):
        lines.append(f"What to do: {problem['todo']}.")
    if result.state == "review":
        lines.append(f"What to do: look at the report, then launch the job `navette_approve_review` or "
                     f"`navette_refuse_review` with `run: {result.run_id}`.")
    return "\n\n".join(lines)


def run_tags(system: str, flow: str, results: Sequence[RunResult]) -> dict[str, str]:
    """What a Dagster run is found by: flow, system, files, the hub's own runs, and the state that matters most."""
    tags = {TAG_FLOW: flow, TAG_SYSTEM: system}
    if not results:
        return tags
    names = list(dict.fromkeys(Path(result.source).name for result in results if result.source))
    more = f" and {len(names) - _FILES} more" if len(names) > _FILES else ""
    return tags | {
        TAG_RUN: ",".join(str(result.run_id) for result in results), TAG_STATE: worst(results).state,
        TAG_FILE: ", ".join(names[:_FILES]) + more,
    }
