"""What is to be run, and what a run has become when it has landed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.page import Source
from mappings.language.flow import Flow
from pipelines.runs.cursor import Cursor
from pipelines.stages.guard import Tripped
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging
from pipelines.stages.waiting import Pairs

Progress = Callable[[str, int], None]
Tell = Callable[[str], None]
"""Takes a sentence on what was not run."""


def quiet(phase: str, rows: int) -> None:
    """The progress of a run that nobody watches."""


def silent(sentence: str) -> None:
    """Where nobody listens."""


@dataclass(frozen=True)
class Order:
    """What is to be run: a flow, on a source that is open."""

    flow: Flow
    source: Source
    name: str  # path or resource, for people
    variables: Mapping[str, str] = field(default_factory=dict)
    mark: int | None = None
    digest: str | None = None
    full: bool = False
    trigger: str = "cli"
    guarded: bool = True
    matching: bool = True  # False: a person said that the rows are records of their own
    row_marks: tuple[int | None, ...] | None = None  # replayed rows keep the marks they had
    afresh: bool = False  # rows that are as they were when last applied are looked at all the same
    adopting: bool = False  # rows are linked, and nothing is written on either side
    rebasing: bool = False  # everything is read under a mapping that changed
    read_now: bool = False  # a system that answers was asked: its rows are what stands there
    comparing: bool = False  # every row is decoded and decided on; only to be looked at
    dagster_run: str | None = None
    calls: tuple[int, ...] = ()  # what is taken from the inbox


@dataclass
class LandedRun:
    """A run that has landed: everything the second half needs."""

    plans: tuple[IntoPlan, ...]
    staging: Staging
    cursor: Cursor
    tripped: list[Tripped]
    notices: list[dict[str, Any]] = field(default_factory=list)  # as in sync.run

    @property
    def pairs(self) -> Pairs:
        """Each into with what it has staged."""
        return list(zip(self.plans, self.staging.intos, strict=True))
