"""Whether the mapping reads back what is about to be written: what it would refuse is refused before it is sent.

Sent all the same, the system would have a row that no run can take in, and every later edit of it on either side would
wait. Only what is sent can be judged: not where the field is also read from a column that is not known, nor where it is
written to another column than it is read from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mappings.codecs.columns import field_columns
from mappings.codecs.field import FieldReading, Given, decode_field
from mappings.codecs.into import spec_of
from mappings.codecs.values import Codes
from pipelines.stages.plan import FieldPlan, IntoPlan
from pipelines.stages.sending import Send

Cells = Mapping[str, str]
"""By column, of one row."""


def refuse_unreadable(plan: IntoPlan, sends: Sequence[Send], there: Mapping[str, Cells], codes: Codes) -> None:
    """Gives each send with a cell that could not be read back the codec's own reason as its fault. `there`: the rows as
    far as they are known, by key, beside what is written."""
    for item in plan.fields:
        columns = {str(column) for column in field_columns(item.map)}
        if item.reference is not None or not columns:
            continue
        rows = [(send, {**there.get(send.key or "", {}), **send.cells}) for send in sends
                if send.fault is None and item.name in send.fields]
        # A new row begins with its system's own default where nothing is said of it.
        known = [(send, cells) for send, cells in rows if columns <= cells.keys()
                 and (send.operation != "create" or any(cells[column] for column in columns))]
        if not known:
            continue
        reading = read_cells(plan, item, [cells for _, cells in known], codes)
        for refusal, raw in reading.refusals:
            for place, (send, _) in enumerate(known):
                if refusal.where[place] and send.fault is None:
                    send.fault = {"code": refusal.code, "field": item.name, "value": raw[place].as_py(),
                                  **refusal.params}


def read_cells(plan: IntoPlan, item: FieldPlan, rows: Sequence[Cells], codes: Codes) -> FieldReading:
    """One field as the mapping reads it from these cells."""
    columns = [str(column) for column in field_columns(item.map)]
    frame = pd.DataFrame({name: pd.array([cells.get(name) for cells in rows], dtype="string[pyarrow]")
                          for name in columns})
    return decode_field(Given(frame, {}, codes), item.name, item.map, spec_of(plan.entity, item.name))
