"""Rows that came back with their receipts exactly as they had to: there is nothing in them to be taken in.

Every field of such a row reads as what was sent, or as what the system had at the last agreement. Any other row goes
down the road: a system that cuts or reformats, a trigger of its own, an edit beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.remote import Receipt
from mappings.codecs.into import decode_into
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.remote import page_of
from pipelines.stages.plan import IntoPlan
from pipelines.stages.prints import read_by
from pipelines.stages.sending import Send


def exact_among(hub: Hub, flow: Flow, plan: IntoPlan, sends: Sequence[Send], receipts: Mapping[int, Receipt]
                ) -> set[int]:
    """The places of those rows among the sends.

    Only of updates of rows whose every image is known. A link is told by ids here and by keys there, and an order mark
    is for the run that reads it: such flows have no exact rows.
    """
    if plan.references or flow.read.mark_columns:
        return set()
    rows = {place: receipt.row for place, receipt in receipts.items() if receipt.state == "delivered"
            and receipt.row is not None and sends[place].operation == "update" and sends[place].images is not None}
    if not rows:
        return set()
    frame = page_of(list(rows.values())).frame
    into = read_by(plan)
    decoded = decode_into(frame, into, plan.entity, variables={}, codes=hub.project.codes, key_shapes=plan.key_shapes)
    bad = {*decoded.faults.rows, *frame.index[decoded.skipped.to_numpy(dtype=bool)]}
    for silent in decoded.kept.values():
        bad.update(frame.index[silent.fillna(value=False).to_numpy(dtype=bool)])
    there = {column: pa.array(decoded.values[column]).to_pylist()
             for item in plan.fields for column in item.columns if column in decoded.values}
    return {
        place for at, (place, label) in enumerate(zip(rows, frame.index, strict=True))
        if label not in bad and all(column in there and there[column][at] == value
                                    for column, value in _wanted(plan, sends[place]).items())
    }


def _wanted(plan: IntoPlan, send: Send) -> dict[str, Any]:
    """The columns of the record as the row has to have them."""
    images = send.images or {}
    return {column: send.values[column] if item.name in send.fields else images[column]
            for item in plan.fields for column in item.columns}
