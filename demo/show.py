"""What the demo prints: headings, counters of runs, and what was planted beside what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.navette import Answer
from mappings.words import OUTCOMES

out = Console(highlight=False, width=130)


def heading(text: str) -> None:
    out.print(f"\n[bold]{text}[/bold]")


def counters(runs: Iterable[Answer]) -> None:
    """One line per run and entity: every row read has one outcome."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("flow", "into", "state", "read", *OUTCOMES, "s"):
        left = name in {"flow", "into", "state"}
        table.add_column(name, justify="left" if left else "right", no_wrap=left)
    for run in runs:
        seconds = f"{run['seconds']:.1f}"
        for label, counts in run["into"].items():
            numbers = [f"{counts[outcome]:,}" if counts[outcome] else "·" for outcome in OUTCOMES]
            table.add_row(run["flow"], label, run["state"], f"{counts['rows_read']:,}", *numbers, seconds)
            seconds = ""
    out.print(table)


def sent(runs: Iterable[Answer]) -> int:
    """One line per flow that wrote to its system; returns how many rows were written there."""
    names = ("created", "updated", "archived", "deleted")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("flow", *names, "refused", "s"):
        table.add_column(name, justify="left" if name == "flow" else "right")
    pushes = [push for run in runs if (push := run.get("sent", run))]
    for push in pushes:
        table.add_row(push["flow"], *[f"{push[name] or '·'}" for name in (*names, "refused")], f"{push['seconds']:.1f}")
    out.print(table)
    return sum(push[name] for push in pushes for name in names)


def moved(before: Mapping[Any, object], after: Mapping[Any, object]) -> int:
    """How many stamps differ, are new or are gone."""
    return len([key for key in before.keys() | after.keys() if after.get(key) != before.get(key)])


def total(runs: Iterable[Answer], *outcomes: str) -> int:
    return sum(counts[outcome] for run in runs for counts in run["into"].values() for outcome in outcomes)


def found(outcome: str, counts: Mapping[str, int]) -> int:
    """`linked` rows met a record that another system had brought: whether they changed it is not planned."""
    return counts["updated"] + counts["unchanged"] if outcome == "linked" else counts[outcome]


def differences(expected: Mapping[str, Any], runs: Iterable[Answer]) -> list[str]:
    """Where the outcomes of the first day are not what was planted."""
    found_in = {(run["flow"], label): counts for run in runs for label, counts in run["into"].items()}
    differences = []
    for flow, labels in expected["first"].items():
        for label, outcomes in labels.items():
            counts = found_in.get((flow, label))
            for outcome, count in outcomes.items():
                seen = found(outcome, counts) if counts else 0
                if seen != count:
                    differences.append(f"{flow}.{label}: {outcome}: planted {count}, found {seen}")
    return differences


def planted(expected: Mapping[str, Any]) -> None:
    """The faults in the files, by kind, most frequent first."""
    faults: dict[str, int] = {}
    for kinds in expected["planted"].values():
        for name, count in kinds.items():
            faults[name] = faults.get(name, 0) + count
    ordered = sorted(faults.items(), key=lambda item: -item[1])
    out.print(f"{sum(faults.values()):,} faulty or doubtful rows of {len(faults)} kinds, among them:")
    out.print("  " + "; ".join(f"{name} ({count})" for name, count in ordered))
