"""A landed run that is to be applied, and everything that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.cursor import Cursor
from pipelines.runs.deciding import marks_rows
from pipelines.runs.orders import Progress
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging
from pipelines.stages.work import Work


@dataclass(frozen=True)
class Applying:
    """A landed run that is to be applied."""

    hub: Hub
    run_id: int
    system: str
    source: str
    full: bool
    sequenced: bool  # the order mark is the file's, not the row's
    mark: int | None  # of the file, where rows have none of their own
    file_mark: int | None
    plans: tuple[IntoPlan, ...]
    staging: Staging
    cursor: Cursor
    progress: Progress
    # Of a small run: the temporary tables that its connection keeps, and what its line is to say.
    works: tuple[Work | None, ...] = ()
    rows_read: int = 0
    durable: bool = True  # whether the last commit waits for the disk
    detected: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Mapping[str, Any]] = ()

    @staticmethod
    def of(hub: Hub, flow: Flow, run_id: int, source: str, mark: int | None, plans: tuple[IntoPlan, ...],
           staging: Staging, cursor: Cursor, progress: Progress, *, full: bool) -> Applying:
        """What a run of `flow` applies; `mark` is its file's, where rows have none of their own."""
        row_marks = marks_rows(flow)
        return Applying(
            hub=hub, run_id=run_id, system=flow.system, source=source, full=full,
            sequenced=mark is not None and not row_marks, mark=None if row_marks else mark, file_mark=mark,
            plans=plans, staging=staging, cursor=cursor, progress=progress, works=(None,) * len(plans),
        )
