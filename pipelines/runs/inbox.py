"""The inbox: what systems said by calling us, kept until a run has taken it in.

::

    put ─▶ waiting ─ run begins ─▶ taking ─ run ends ─▶ done, failed or refused
              ▲                       │                    └─ navette inbox retry ─▶ waiting
              └── the run was killed ─┘

A call belongs to the run that takes it in from the transaction in which that run begins, and what became of it is what
became of the run: two processes, A and B: A is killed after its last batch and before it could say so. B finds the
call with a run that is done, and does not take it in again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, exists, func, or_, select, update

from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.calls import source_of
from pipelines.runs.executing import execute
from pipelines.runs.orders import Order, Progress
from pipelines.runs.result import RunResult

CALLS_A_RUN = 1000
BYTES_A_RUN = 8 << 20


def is_hint(hub: Hub, flow: Flow) -> bool:
    """Whether a call only says that something changed: its system can be asked, and the call tells no version, so that
    an old one could not be told from a new one."""
    return hub.project.systems[flow.system].connector != "file" and not flow.read.mark_columns


def calls_wait(hub: Hub, flow: Flow) -> bool:
    """Whether the flow has calls to take in, or an interrupted run that was taking some in."""
    inbox, run = tables.inbox, tables.run
    asked = exists().where(run.c.id == inbox.c.run_id, run.c.state == "review")
    with hub.ask.connect() as connection:
        return bool(connection.scalar(select(exists().where(
            inbox.c.flow == flow.flow,
            or_(inbox.c.state == "waiting", and_(inbox.c.state == "taking", ~asked)),
        ))))


def take_in(hub: Hub, flow: Flow, trigger: str, progress: Progress, dagster_run: str | None = None
            ) -> list[RunResult]:
    """Runs on the calls that wait, oldest first; the caller holds the flow's lock and has finished what was unfinished.

    Stops behind a run that waits in review. Calls that are hints stay: whoever reads the system notes them.
    """
    results: list[RunResult] = []
    if not flow.read.hook or is_hint(hub, flow):
        return results
    note_ends(hub, flow)
    more = True
    while more and (events := _waiting(hub, flow)):
        # What comes while they are taken in is told of anew.
        more = len(events) == CALLS_A_RUN or sum(len(body) for _, body in events) >= BYTES_A_RUN
        numbers = tuple(number for number, _ in events)
        order = Order(flow=flow, source=source_of(flow, events), name=_name(numbers), trigger=trigger, calls=numbers,
                      dagster_run=dagster_run)
        results.append(execute(hub, order, progress))
        note_ends(hub, flow)
        if results[-1].state == "review":
            break
    return results


def note_ends(hub: Hub, flow: Flow) -> None:
    """Calls whose run has ended say so."""
    inbox, run = tables.inbox, tables.run
    with hub.ask.connect() as connection:
        connection.execute(
            update(inbox).where(inbox.c.flow == flow.flow, inbox.c.state == "taking", run.c.id == inbox.c.run_id,
                                run.c.state.in_(("done", "failed", "refused")))
            .values(state=run.c.state)
        )


def hints(hub: Hub, flow: Flow) -> list[int]:
    """Calls that a read of the system answers; also those that came before a read that failed."""
    if not flow.read.hook or not is_hint(hub, flow):
        return []
    inbox = tables.inbox
    with hub.ask.connect() as connection:
        return list(connection.scalars(
            select(inbox.c.id).where(inbox.c.flow == flow.flow, inbox.c.state.in_(("waiting", "failed")))))


def note_hints(hub: Hub, calls: Sequence[int], result: RunResult | None) -> None:
    """The system was read after these calls had come (None: without news). A read that failed is not tried again for
    them, only at its time; where it waits for a person, so do they."""
    if not calls or (result is not None and result.state not in ("done", "failed")):
        return
    state, run_id = ("done", None) if result is None else (result.state, result.run_id)
    with hub.small.begin() as connection:
        connection.execute(update(tables.inbox).where(tables.inbox.c.id.in_(calls)).values(state=state, run_id=run_id))


def _waiting(hub: Hub, flow: Flow) -> list[tuple[int, bytes]]:
    """The oldest calls, as many as one run takes; at least one."""
    inbox = tables.inbox
    so_far = func.sum(func.octet_length(inbox.c.body)).over(order_by=inbox.c.id, rows=(None, -1))
    oldest = (
        select(inbox.c.id, func.coalesce(so_far, 0).label("before"))
        .where(inbox.c.flow == flow.flow, inbox.c.state == "waiting").order_by(inbox.c.id).limit(CALLS_A_RUN)
    ).subquery()
    query = (
        select(inbox.c.id, inbox.c.body).join_from(inbox, oldest, oldest.c.id == inbox.c.id)
        .where(oldest.c.before < BYTES_A_RUN).order_by(inbox.c.id)
    )
    with hub.ask.connect() as connection:
        return [(number, bytes(body)) for number, body in connection.execute(query)]


def _name(numbers: Sequence[int]) -> str:
    return f"call {numbers[0]}" if len(numbers) == 1 else f"calls {numbers[0]} to {numbers[-1]}"
