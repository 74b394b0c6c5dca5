"""What becomes of the markers of records that were not delivered, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipelines.runs.delivery import Answered
from pipelines.stages.sending import Send

PASSING = ("link_unknown", "unread_there", "may_be_there")
"""What a marker may wait for by itself."""
Reason = tuple[str, dict[str, Any], float | None]
"""The marker's new state, why, and in how many seconds it is tried again (None: growing delays)."""


def reasons(lost: Mapping[int, str], sends: Sequence[Send], answered: Sequence[Answered], unread: Collection[str]
             ) -> dict[int, Reason]:
    """For each record that was not delivered, what becomes of its marker. A row that was not read before is read now,
    whatever the system said: the refusal may be of the row as it is by now."""
    faults = {record: {"code": code} for record, code in lost.items() if code}
    faults |= {send.record_id: said for send in sends if (said := send.fault or send.held_back) is not None}
    why: dict[int, Reason] = {
        record: ("waiting" if fault["code"] in PASSING else "refused", fault, None) for record, fault in faults.items()
    }
    for one in answered:
        receipt, record = one.receipt, one.send.record_id
        told = {"code": receipt.code or receipt.state, "message": receipt.message, "operation": one.send.operation}
        if receipt.state == "refused" and one.send.key not in unread:
            why[record] = ("refused", told, None)
        elif receipt.state == "unclear" and one.send.operation == "create":
            why[record] = ("unclear", told, None)
        elif receipt.state in ("stale", "refused"):
            why[record] = ("waiting", told, 0.0)
        elif receipt.state in ("retry", "unclear"):
            why[record] = ("waiting", told, None)
    return why
