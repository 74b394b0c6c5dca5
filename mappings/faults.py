"""Faults: the rows of one batch that a step refuses, and why, as a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pandas as pd

COLUMNS = ("row", "field", "code", "params", "value")


@dataclass
class Faults:
    """Rows refused by one step.

    `frame` columns: row (int64, the label of the row in the batch), field (the CRM field, or the source column
    where there is no field), code (a key of mappings.messages.REASONS), params (JSON text, what the message's
    template needs beside field and value), value (the raw text that was refused, cut at 500 characters).
    """

    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, rows: pd.Index[Any], *, field: str, code: str, value: pd.Series | None = None, **params: Any) -> None:
        """Refuse `rows` (labels); `value` is the raw series they come from, aligned by label."""
        if len(rows) == 0:
            return
        shown = value.loc[rows].astype("string").str.slice(0, 500).to_numpy() if value is not None else None
        self.parts.append(
            pd.DataFrame(
                {"row": rows, "field": field, "code": code, "params": orjson.dumps(params, default=str).decode(),
                 "value": shown}
            )
        )

    def extend(self, other: Faults) -> None:
        self.parts.extend(other.parts)

    @property
    def frame(self) -> pd.DataFrame:
        if not self.parts:
            return pd.DataFrame({name: pd.Series(dtype="object") for name in COLUMNS}).astype({"row": "int64"})
        return pd.concat(self.parts, ignore_index=True)

    @property
    def rows(self) -> pd.Index[Any]:
        """Labels of all refused rows, once each."""
        if not self.parts:
            return pd.Index([], dtype="int64")
        found: pd.Index[Any] = pd.Index(self.frame["row"].unique())
        return found

    def __bool__(self) -> bool:
        return bool(self.parts)
