"""What one push came to: the same for the command line, `--json`, Dagster and the run behind which it went out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipelines.ops.sentences import held_lines
from pipelines.stages.guard import Tripped


@dataclass
class PushResult:
    """What one push came to: writes by operation, and markers that were not delivered, by what became of them."""

    run_id: int
    flow: str
    system: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    problem: str | None = None
    tripped: list[Tripped] = field(default_factory=list)
    files: list[str] | None = None  # of a flow that writes files: those that were delivered
    full: bool = False  # of a flow that writes files: somebody asked for one of everything
    misconfigured: bool = False  # it was not begun

    @property
    def exit_code(self) -> int:
        return 1 if self.misconfigured else 3 if self.tripped else 4 if self.problem else 0

    @property
    def waits(self) -> dict[str, Any] | None:
        """Why nothing was sent before a person says so, as the run keeps it (`sync.run.problem`)."""
        if not self.tripped:
            return None
        return {"code": "guard", "sent": "sent" if self.files is None else "file", "full": self.full,
                "tripped": [trip.told() for trip in self.tripped]}

    @property
    def held(self) -> list[str]:
        """The same in sentences, the last of which tells what to do."""
        return held_lines(self.flow, self.waits)

    def as_json(self) -> dict[str, Any]:
        """The shape that scripts read."""
        names = ["created", "updated", "archived", "deleted", "unchanged", "refused", "waiting", "unclear"]
        told: dict[str, Any] = {}
        if self.files is not None:
            names = ["written", "left_out", "refused", "waiting"]
            told = {"files": self.files, "file": ", ".join(self.files)}
        return {"run_id": self.run_id, "flow": self.flow, "system": self.system, "seconds": round(self.seconds, 3),
                **{name: self.counts[name] for name in names}, **told, "problem": self.problem,
                "tripped": [trip.told() for trip in self.tripped]}
