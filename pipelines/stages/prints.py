"""The fingerprint of a row under a mapping: the row is as it was when it was last applied where both are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import xxhash

from mappings.codecs.columns import columns_needed
from mappings.codecs.fingerprint import fingerprints
from mappings.codecs.into import resolve_column
from mappings.language.flow import Flow, Into
from mappings.language.strict import Column
from pipelines.stages.plan import IntoPlan


@dataclass(frozen=True)
class Prints:
    """What the fingerprints of one into are made of: these columns, and the mapping by `salt` and `label`."""

    columns: tuple[Column, ...]
    salt: int
    label: str

    @staticmethod
    def of(flow: Flow, plan: IntoPlan, more: Sequence[Column] = ()) -> Prints:
        """`more`: columns that the mapping does not name for this into, and that tell rows apart."""
        return Prints((*columns_needed(read_by(plan)), *flow.read.mark_columns, *more), plan.salt, plan.label)

    def told(self, frame: pd.DataFrame, variables: Mapping[str, str]) -> pd.Series:
        """The fingerprint of each row, int64, aligned with the frame; `variables`: parts of the file's name."""
        names = tuple(frame.columns)
        found = [resolve_column(names, column) for column in self.columns]
        present = list(dict.fromkeys(name for name in found if name is not None))
        return pd.Series(fingerprints(frame, present, salt=self._salt(variables)), index=frame.index)

    def _salt(self, variables: Mapping[str, str]) -> int:
        used = sorted(f"{column}={variables[str(column)[1:]]}" for column in self.columns
                      if str(column).startswith("$") and str(column)[1:] in variables)
        return hash_text("\x1f".join([str(self.salt), self.label, *used]))


def read_by(plan: IntoPlan) -> Into:
    """The into with the fields that are decoded: what a child has of its owner's key is told by where it stands."""
    return plan.into.model_copy(update={"fields": {item.name: item.map for item in plan.fields
                                                   if item.reference is None or not item.reference.owner_key}})


def hash_text(value: str) -> int:
    """A signed 64-bit hash that is the same in every process."""
    return xxhash.xxh3_64_intdigest(value.encode()) - (1 << 63)
