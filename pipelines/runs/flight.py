"""Creates under way: while a system takes one batch in, the last one is noted and the next one is made ready.

::

    the system   │ write 1 ──────▶ read 1            │ write 2 ──────────────▶ read 2            │ write 3 …
    this thread  │ (makes 2 ready) note 1, intents 2 │ take 1 in, make 3 ready note 2, intents 3 │ take 2 in …

One thread makes all calls, one after the other: two at once would gain nothing from most systems. The intents of a call
are noted behind the receipts of the one before: killed anywhere, one batch at most is to be looked for. What was made
is read back before the next write, as ever: where the system does not say who wrote, an edit of somebody else's in
between would pass for what the system made of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field

from connectors.remote import Capabilities, Remote, Resource
from pipelines.hub import Hub
from pipelines.runs.delivery import Call, begin_call, make_call
from pipelines.runs.read_back import Part, parts_read_back
from pipelines.stages.outbox import Marker
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send


@dataclass(frozen=True)
class Batch:
    """Claimed markers, made ready. `lost`: records that nothing is sent of, with the code of why or ''. `made`: how
    many batches had made something when links were looked up for it."""

    markers: Sequence[Marker]
    lost: Mapping[int, str]
    sends: Sequence[Send]
    made: int


@dataclass
class Flight:
    """A batch under way: `called` is there when the system has answered, `read` when its rows were read back."""

    batch: Batch
    called: Future[Call] = field(default_factory=Future)
    read: Future[Sequence[Part]] = field(default_factory=Future)


class Caller:
    """Makes calls in a thread of its own, in the context of whoever begins them: it says under whose leadership."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="navette-call")

    def begin(self, batch: Batch, write: Callable[[], Call], read: Callable[[Call], Sequence[Part]]) -> Flight:
        """Writes, and reads back what was delivered, behind what is under way already."""
        flight = Flight(batch)

        def work() -> None:
            try:
                call = write()
            except BaseException as fault:
                flight.called.set_exception(fault)
                flight.read.set_result(())
                return
            flight.called.set_result(call)
            try:
                flight.read.set_result(() if call.fault is not None else read(call))
            except BaseException as fault:
                flight.read.set_exception(fault)

        self._pool.submit(copy_context().run, work)
        return flight

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown()


def is_one_call_of_creates(sends: Sequence[Send], can: Capabilities) -> bool:
    """Whether what can be sent of a batch goes in one call, and needs no look at the system before it."""
    good = [send for send in sends if send.fault is None]
    return 0 < len(good) <= can.batch and all(send.operation == "create" for send in good)


def create_calls(hub: Hub, plan: IntoPlan, remote: Remote, resource: Resource, can: Capabilities, run_id: int,
                 sends: Sequence[Send]) -> tuple[Callable[[], Call], Callable[[Call], Sequence[Part]]]:
    """What writes these sends, whose intents are noted now, and what reads back those that were made and did not come
    with the receipt."""
    begun = begin_call(hub, plan, run_id, [send for send in sends if send.fault is None])

    def write() -> Call:
        return make_call(hub, plan, resource, can, remote, begun, later=True)

    def read(call: Call) -> Sequence[Part]:
        keys = [one.key for one in call.receipts.values()
                if one.state == "delivered" and one.row is None and one.key is not None]
        return parts_read_back(remote, resource, remote.fetch(resource, keys), plan.into.key) if keys else ()

    return write, read
