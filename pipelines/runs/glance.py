"""What stands before a flow's turn, and what waits after it: one question each, to which the answer mostly is nothing.

Each condition is that of the function that deals with it, which looks again, and closely, where there is something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, select

from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.due import due_by_flow
from pipelines.runs.intake import in_review
from pipelines.runs.lost_creates import answers_open, unanswered
from pipelines.runs.position import kept_mark
from pipelines.runs.replay import create_known, parked
from pipelines.runs.standing import Standing, standing
from pipelines.runs.unfinished import interrupted


@dataclass(frozen=True)
class Before:
    """Whether a run of the flow was interrupted, one waits for a person, and an answer of its system is open: one that
    reading waits for (`intents`), or any (`unanswered`); how the system stands; and the `mark` of how far it was read,
    None where nobody has read it, or somebody wants everything to be read again."""

    unfinished: bool
    review: bool
    intents: bool
    unanswered: bool
    system: Standing
    mark: Mapping[str, Any] | None


@dataclass(frozen=True)
class After:
    """`due`: markers to be sent, by flow; whether rows are parked; and whether what one of them waited for, the answer
    to a create, is known by now (`creates`)."""

    due: dict[str, int]
    parked: bool
    creates: bool


def before_turn(hub: Hub, flow: Flow) -> Before:
    with hub.ask.connect() as connection:
        return Before(*connection.execute(_before(flow.flow, flow.system)).one())


def after_turn(hub: Hub, flows: Sequence[str]) -> After:
    with hub.ask.connect() as connection:
        found = connection.execute(_after(tuple(flows))).one()
        return After(found[0] or {}, found[1], found[2])


# Built once: that takes as long as the answer does.

@lru_cache(256)
def _before(flow: str, system: str) -> Select[*tuple[Any, ...]]:
    return select(interrupted(flow), in_review(flow), answers_open(flow), unanswered(flow),
                  standing(system), kept_mark(flow))


@lru_cache(64)
def _after(flows: tuple[str, ...]) -> Select[Any]:
    return select(due_by_flow(flows), parked(), create_known())
