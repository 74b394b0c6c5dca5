"""What a run tells: the same for the command line, `--json`, Dagster and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mappings.errors import ConfigurationError, NavetteError
from mappings.words import OUTCOMES, RunState
from pipelines.runs.push_result import PushResult

EXIT_CODES: dict[RunState, int] = {
    "done": 0, "review": 3, "refused": 3, "failed": 4, "landing": 4, "landed": 4, "applying": 4,
}


CONFIGURATION = "configuration"
"""The problem of a flow that did not run for a mistake in what an integrator wrote."""
REFUSED_LATE = "refused"
"""The problem of a run that was done, and of which the store refused more than its guard allows."""
PROBLEM_EXITS = {CONFIGURATION: ConfigurationError.exit_code, REFUSED_LATE: EXIT_CODES["failed"]}


@dataclass
class RunResult:
    """One run. `into` holds, by label, every outcome by name, rows_read, entity, archived, unlinked and conflicts."""

    run_id: int
    flow: str
    state: RunState
    seconds: float
    into: dict[str, dict[str, Any]]
    source: str = ""
    full: bool = False
    rows_read: int = 0
    problem: dict[str, Any] | None = None
    notices: list[str] = field(default_factory=list)
    noticed: tuple[str, ...] = ()  # the codes of the run's own ones, which stand first
    detected: dict[str, str] = field(default_factory=dict)
    report: str | None = None
    sent: PushResult | None = None  # of a flow that writes: what went to its system afterwards

    @property
    def exit_code(self) -> int:
        """Its own, or that of what went out behind it."""
        own = PROBLEM_EXITS.get((self.problem or {}).get("code", ""), EXIT_CODES[self.state])
        return own or (self.sent.exit_code if self.sent else 0)

    def as_json(self) -> dict[str, Any]:
        """The shape that scripts read."""
        return {
            "run_id": self.run_id, "flow": self.flow, "state": self.state, "seconds": round(self.seconds, 3),
            "source": self.source, "full": self.full, "rows_read": self.rows_read, "into": self.into,
            "problem": self.problem, "notices": self.notices, "detected": self.detected, "report": self.report,
            "sent": self.sent.as_json() if self.sent else None,
        }

    def total(self, outcome: str) -> int:
        """The sum of one outcome over every into."""
        return sum(int(counts[outcome]) for counts in self.into.values())

    @property
    def changed(self) -> int:
        return self.total("created") + self.total("updated")


def not_run(flow: str, error: NavetteError) -> RunResult:
    """Of several flows this one did not run; the others did. It has no number."""
    code = CONFIGURATION if isinstance(error, ConfigurationError) else "later"
    problem = {"code": code, "message": error.message, "where": error.where, "todo": error.todo}
    return RunResult(0, flow, "failed", 0.0, {}, problem=problem)


def empty_counts(entity: str) -> dict[str, Any]:
    """The counters of one into before anything was read."""
    return {"entity": entity, "rows_read": 0, **dict.fromkeys(OUTCOMES, 0), "archived": 0, "unlinked": 0,
            "conflicts": 0}
