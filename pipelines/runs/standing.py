"""How a system stands: up, down (left alone for a growing time) or paused by a person; kept in sync.system_state.

::

    up ── does not answer ──▶ down until … ── time is up: one try ──▶ up, or down for longer
     ▲                          │
     └──── navette resume ──── paused ◀── navette pause, or a login that was refused
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection, ScalarSelect, func, select, update
from sqlalchemy.dialects.postgresql import insert

from connectors.remote import LoginRefused, RemoteDown
from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError, RetryLater
from pipelines.hub import Hub
from pipelines.stages.outbox import hasten_all

LONGEST_DOWN = timedelta(minutes=5)
_state = tables.system_state


class LeftAlone(RetryLater):
    """The system is paused, or was found down a moment ago: it is not called."""


Standing = Sequence[Any] | None
"""State, why, and whether it is to be left alone still; None for a system that was never anything but up."""


def standing(system: str) -> ScalarSelect[Standing]:
    """How the system stands, as one value among others that are asked for."""
    told = func.jsonb_build_array(_state.c.state, _state.c.why, _state.c.until > func.now())
    return select(told).where(_state.c.system == system).scalar_subquery()


def trouble(known: Standing) -> dict[str, str]:
    """What is wrong with a system that stands so: its state, and a sentence; nothing where it is up."""
    state, why, _ = known or ("up", None, False)
    told = {"paused": f"the system is paused: {why}", "down": f"the system did not answer: {why}"}
    return {state: told[state]} if state in told else {}


@contextmanager
def calling(hub: Hub, system: str, known: Standing | Literal["ask"] = "ask") -> Iterator[str | None]:
    """The block calls the system, unless it is paused or was found down a moment ago (LeftAlone). `known`: how it
    stands, where that was just asked. Gives the state in which it is called.

    A refused login pauses the system: a few more would lock the account, so a person has to look first.
    """
    was = _may_call(system, _ask(hub, system) if known == "ask" else known)
    try:
        yield was
    except LoginRefused as error:
        pause(hub, system, error.message)
        raise


@contextmanager
def answering(hub: Hub, system: str, known: Standing | Literal["ask"] = "ask") -> Iterator[None]:
    """As `calling`, and whether the system answers is noted."""
    with calling(hub, system, known) as was:
        try:
            yield
        except RemoteDown as error:
            with hub.small.begin() as connection:
                _note_down(connection, system, error.message)
            raise
    if was == "down":
        _note_up(hub, system)


def pause(hub: Hub, system: str, why: str) -> None:
    """The system is not called any more until somebody resumes it; what is to be sent waits."""
    _known(hub, system)
    with hub.small.begin() as connection:
        _set(connection, system, state="paused", until=None, tries=0, why=why)


def resume(hub: Hub, system: str) -> None:
    """The system is called again, from now on; what was to be tried again later is due."""
    _known(hub, system)
    with hub.small.begin() as connection:
        _set(connection, system, state="up", until=None, tries=0, why=None)
        hasten_all(connection, [flow.flow for flow in hub.project.flows.values() if flow.system == system])


def _known(hub: Hub, system: str) -> None:
    if system not in hub.project.systems:
        raise ConfigurationError(f"there is no system {system!r}", todo=f"one of: {', '.join(hub.project.systems)}")


def _ask(hub: Hub, system: str) -> Standing:
    with hub.ask.connect() as connection:
        return connection.scalar(select(standing(system)))


def _may_call(system: str, known: Standing) -> str | None:
    """The state in which it is called."""
    if known is None:
        return None
    state, _, still = known
    if state == "paused":
        raise LeftAlone(trouble(known)[state], where=f"system {system}",
                        todo=f"navette resume {system}, once that is put right")
    if state == "down" and still:
        raise LeftAlone(trouble(known)[state], where=f"system {system}",
                        todo=f"it is tried again by itself; at once after navette resume {system}")
    return str(state)


def _note_down(connection: Connection, system: str, why: str) -> None:
    """Left alone for a second, then twice as long each time."""
    tries = _state.c.tries
    delay = func.least(func.power(2, func.least(tries, 20)), LONGEST_DOWN.total_seconds())
    row = insert(_state).values(system=system, state="down", tries=1, why=why,
                                until=func.now() + timedelta(seconds=1))
    connection.execute(row.on_conflict_do_update(index_elements=["system"], set_={
        "state": "down", "why": why, "tries": tries + 1, "since": func.now(),
        "until": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, delay),
    }, where=_state.c.state != "paused"))


def _note_up(hub: Hub, system: str) -> None:
    """In one statement: a person who pauses it at this very moment has paused it."""
    with hub.small.begin() as connection:
        connection.execute(update(_state).where(_state.c.system == system, _state.c.state == "down").values(
            state="up", until=None, tries=0, why=None, since=func.now()))


def _set(connection: Connection, system: str, **values: object) -> None:
    row = insert(_state).values(system=system, since=func.now(), **values)
    connection.execute(row.on_conflict_do_update(index_elements=["system"], set_={**values, "since": func.now()}))
