"""Rows that come back from a write exactly as they had to: there is nothing in them to be taken in.

::

    with the receipt                    base and markers are noted as of any write, and that is all
    read back after it (settle_exact)   one statement: as last applied, where the record is as agreed on too

Every field of such a row reads as what was sent, or as what the system had at the last agreement. Any other row goes
down the road: a system that cuts or reformats, a trigger of its own, an edit beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from connectors.page import Page
from connectors.remote import Receipt
from mappings.codecs.into import decode_into
from mappings.codecs.keys import keys_of
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.attempt import attempt
from pipelines.runs.news import Seen, numbered
from pipelines.runs.remote import page_of
from pipelines.stages.marks import order_marks
from pipelines.stages.plan import IntoPlan
from pipelines.stages.prints import read_by
from pipelines.stages.sending import Send
from pipelines.stages.unread import ReadBack, settle_read_back


def exact_among(hub: Hub, flow: Flow, plan: IntoPlan, sends: Sequence[Send], receipts: Mapping[int, Receipt]
                ) -> set[int]:
    """The places among the sends of those whose row came with its receipt, exactly as it had to."""
    rows = {place: receipt.row for place, receipt in receipts.items()
            if receipt.state == "delivered" and receipt.row is not None and sends[place].images is not None}
    if not rows or flow.read.mark_columns:  # an order mark is for who reads the row
        return set()
    frame = page_of(list(rows.values())).frame
    exact = _exact(hub, plan, frame, [sends[place] for place in rows])
    return {place for place, said in zip(rows, exact, strict=True) if said}


def settle_exact(hub: Hub, flow: Flow, plan: IntoPlan, seen: Seen, page: Page, sends: Mapping[str, Send]) -> Page:
    """Settles the rows of a page that was read back after these sends, by key, where it is exactly as it had to be;
    returns the page without them, which goes down the road."""
    keys = keys_of(page.frame, plan.into.key, {}).tolist()
    mine = np.array([key in sends and sends[key].images is not None for key in keys], dtype=bool)
    if seen.prints is None or not mine.any():
        return page
    of_rows = [sends[key] for key, one in zip(keys, mine, strict=True) if one]
    mine[mine] = _exact(hub, plan, page.frame[mine], of_rows)
    prints = seen.prints.told(page.frame, {}).tolist()
    marks = pa.array(order_marks(page.frame, flow.read, None)).to_pylist()
    rows = {key: ReadBack(sends[key].record_id, print, mark)
            for key, print, mark, one in zip(keys, prints, marks, mine, strict=True) if one}
    if not rows:
        return page
    with hub.small.connect() as connection:
        settled = attempt(connection, lambda: settle_read_back(connection, plan, rows))
    done = np.array([key in settled for key in keys], dtype=bool)
    seen.note(page.only(done), plan.into.key)
    seen.settled(settled)
    return numbered(page.only(~done), 0)


def _exact(hub: Hub, plan: IntoPlan, frame: pd.DataFrame, sends: Sequence[Send]) -> list[bool]:
    """Whether each row is as its send left it there.

    Only after updates of rows whose every image is known. A link is told by ids here and by keys there, and what is
    expected of a row is asked on the road: flows with either have no exact rows.
    """
    if plan.references or plan.into.expect:
        return [False] * len(sends)
    decoded = decode_into(frame, read_by(plan), plan.entity, variables={}, codes=hub.project.codes,
                          key_shapes=plan.key_shapes)
    bad = {*decoded.faults.rows, *frame.index[decoded.skipped.to_numpy(dtype=bool)]}
    silent = {name: mask.fillna(value=False).to_numpy(dtype=bool) for name, mask in decoded.kept.items()}
    there = {column: pa.array(decoded.values[column]).to_pylist()
             for item in plan.fields for column in item.columns if column in decoded.values}

    def as_left(at: int, send: Send) -> bool:
        for item in plan.fields:
            sent = item.name in send.fields
            if item.name in silent and silent[item.name][at]:  # says nothing: then it must not be what was sent
                if sent:
                    return False
                continue
            wanted = send.values if sent else send.images or {}
            if any(column not in there or there[column][at] != wanted[column] for column in item.columns):
                return False
        return True

    return [send.operation == "update" and label not in bad and as_left(at, send)
            for at, (label, send) in enumerate(zip(frame.index, sends, strict=True))]
