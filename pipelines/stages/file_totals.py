"""What the trailer of an outbound file tells: how many rows there are, and what columns add up to."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.outbound.port import Trailer
from connectors.file.trailer import EXACT, add_up
from mappings.errors import RunStopped
from mappings.language.flow import Flow
from pipelines.stages.file_rows import FilePage, FilePlan


class Totals:
    """What the trailer tells: rows, and sums of columns."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.sums: dict[str, Decimal] = {name: Decimal(0) for name in (flow.write.trailer.sum if flow.write.trailer
                                                                       else ())}
        self.decimals: dict[str, int] = dict.fromkeys(self.sums, 0)  # as many as the cells have

    def add(self, page: FilePage) -> None:
        """Raises RunStopped where a column that is summed up holds something else than numbers."""
        for name in self.sums:
            if name not in page.cells:
                continue
            added, strange = add_up(pa.chunked_array([page.cells[name]]), None)
            if strange.any():
                raise RunStopped(f"{name} cannot be summed up for the trailer: some of its cells are no numbers",
                                 where=f"flow {self.flow.flow}", todo="sum another column, or leave the sum out")
            self.sums[name] = EXACT.add(self.sums[name], added)
            behind = pc.utf8_length(pc.replace_substring_regex(page.cells[name], "^[^.,]*[.,]?", ""))
            self.decimals[name] = max(self.decimals[name], pc.max(behind).as_py() or 0)

    def trailer(self, filed: FilePlan, rows: int) -> Trailer:
        """Its cells, by place."""
        said = self.flow.write.trailer
        if said is None:
            return ()
        found = [(said.by, said.is_), *([(said.rows, str(rows))] if said.rows is not None else [])]
        for name, at in said.sum.items():
            total = f"{self.sums[name]:.{self.decimals[name]}f}"
            found.append((at, total.replace(".", filed.decimal or ".")))
        return [(place if isinstance(place, tuple) else filed.shape.name(place), text) for place, text in found]
