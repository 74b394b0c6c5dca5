"""Whether the rows that a run stages are all unlike each other: what is seen while they pass need not be asked of the
database, where a million rows take longer to compare than to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import String

from crm_store.match_indexes import match_expression
from mappings.codecs.cells import TEXT, Cells, contiguous
from mappings.codecs.fingerprint import hashed
from mappings.language.flow import MatchRule
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging

MOST_MET = 4_000_000
"""Values of one kind of which a run keeps 8 bytes each; of more nobody knows."""


@dataclass(frozen=True)
class Unlike:
    """What is known of one into's rows; False where nobody knows. `keys`: no two staged rows have one key; `rules`: for
    each match rule, no two have its values in common; `same`: no two of the rows that are the same have one key;
    `none_same`: there are none of these."""

    keys: bool = False
    rules: tuple[bool, ...] = ()
    same: bool = False
    none_same: bool = False


class Meeting:
    """Meets the staged rows of one into, page by page."""

    def __init__(self, plan: IntoPlan, tables: IntoStaging) -> None:
        self._keys = Met(["key"])
        compared = [_as_they_are(plan, tables, rule) for rule in plan.into.match]
        self._rules = [Met(names) if names else None for names in compared]

    def meet(self, staged: pa.Table) -> None:
        """`staged`: columns as in the table `rows`."""
        for met in (self._keys, *self._rules):
            if met is not None:
                met.meet(staged)

    def told(self, *, same: bool, none_same: bool) -> Unlike:
        """After the last page."""
        rules = tuple(met is not None and met.all_unlike() for met in self._rules)
        return Unlike(self._keys.all_unlike(), rules, same, none_same)


class Met:
    """The values of some columns that were met, 8 bytes for each row in which none is missing."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._hashes, self._count = names, list[npt.NDArray[np.int64]](), 0

    def meet(self, staged: pa.Table) -> None:
        if self._count > MOST_MET:
            return
        whole = staged.select(self._names).drop_null() if _gaps(staged, self._names) else staged
        columns = [_cells(whole[name]) for name in self._names]
        self._count += len(whole)
        self._hashes = [*self._hashes, hashed(columns, 0)] if self._count <= MOST_MET else []

    def all_unlike(self) -> bool:
        if self._count > MOST_MET:
            return False
        met = np.concatenate([*self._hashes, np.empty(0, np.int64)])
        self._hashes = []
        met.sort()
        return not bool((met[1:] == met[:-1]).any())


def _as_they_are(plan: IntoPlan, tables: IntoStaging, rule: MatchRule) -> list[str]:
    """The staged columns of a rule whose values are texts that are compared as they are; empty where the database folds
    them first, or some is not staged."""
    names: list[str] = []
    for name in rule.on:
        field = next((item for item in plan.fields if item.name == name), None)
        column = tables.rows.c.get(f"v_{name}")
        if field is None or field.reference is not None or column is None or not isinstance(column.type, String):
            return []
        if match_expression(column, plan.specs(plan.into.entity, name)) is not column:
            return []
        names.append(column.name)
    return names


def _gaps(staged: pa.Table, names: Sequence[str]) -> bool:
    return any(staged[name].null_count for name in names)


def _cells(column: pa.ChunkedArray) -> Cells:
    cells: Cells = contiguous(pc.cast(column, TEXT))
    return cells
