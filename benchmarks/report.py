"""The bench's one table and its JSON: medians over the rounds, and ratios to the floor's median of the same rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measured

TARGETS = {("navette", "first"): 2.0, ("navette", "unchanged"): 0.6, ("navette", "changed_1pct"): 0.7}
"""Ratios to the floor that are to be reached at a million rows."""

Step = tuple[str, str]
Figures = dict[str, float]


def figures(rows: int, measured: Sequence[Measured], floor_seconds: float) -> Figures:
    """seconds, rows_per_s, ratio (to the floor's seconds) and peak_mb of one step, medians over its rounds."""
    seconds = median(each.seconds for each in measured)
    return {
        "seconds": round(seconds, 3),
        "rows_per_s": round(rows / seconds, 1),
        "ratio": round(seconds / floor_seconds, 3),
        "peak_mb": round(median(each.peak_pss_mb for each in measured), 1),
    }


def as_json(rows: int, measured: Mapping[Step, Sequence[Measured]]) -> dict[str, object]:
    """{"rows": n, "floor": {…}, "dlt": {"first": {…}, "unchanged": {…}}, "navette": {…}}"""
    floor_seconds = median(each.seconds for each in measured["floor", ""])
    result: dict[str, object] = {"rows": rows}
    parts: dict[str, dict[str, Figures]] = {}
    for (who, step), times in measured.items():
        told = figures(rows, times, floor_seconds)
        if step:
            parts.setdefault(who, {})[step] = told
        else:
            result[who] = told
    return result | parts


def show(rows: int, measured: Mapping[Step, Sequence[Measured]], console: Console) -> None:
    floor_seconds = median(each.seconds for each in measured["floor", ""])
    rounds = len(measured["floor", ""])
    table = Table(title=f"{rows:,} rows × 20 columns, median of {rounds}", title_justify="left")
    for heading in ("", "seconds", "of each round", "rows/s", "× floor", "target", "peak MB (PSS)", "peak MB (RSS)"):
        table.add_column(heading, justify="left" if not heading else "right")
    for (who, step), times in measured.items():
        told = figures(rows, times, floor_seconds)
        target = TARGETS.get((who, step))
        table.add_row(
            f"{who} {step}".strip(), f"{told['seconds']:.1f}", " ".join(f"{each.seconds:.1f}" for each in times),
            f"{told['rows_per_s']:,.0f}", f"{told['ratio']:.2f}", "" if target is None else f"≤ {target}",
            f"{told['peak_mb']:.0f}", f"{median(each.peak_rss_mb for each in times):.0f}",
        )
    console.print(table)
