"""What the rows of a landed run would change, and what both sides have changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, or_, select
from sqlalchemy.sql.selectable import FromClause

from pipelines.runs.orders import LandedRun
from pipelines.stages.conflicts import conflicts_in, is_news
from pipelines.stages.decide import outcome_of, taken_in
from pipelines.stages.plan import FieldPlan, IntoPlan
from pipelines.stages.resolve import LINKED, resolve_rows, verdicts
from pipelines.stages.staging import IntoStaging
from pipelines.stages.waiting import TO_COME, Pairs, as_linked, brought

MADE = "new: "
"""Before what names a record in a link where the run itself would make that record: it has no id yet."""


def count_conflicts(connection: Connection, landed: LandedRun) -> None:
    """Notes in the cursor of each into how many conflicts the run would tell of."""
    for (plan, staging), counts in zip(landed.pairs, landed.cursor.intos, strict=True):
        counts.conflicts = WouldChange(plan, staging, landed.pairs).conflicts(connection)


@dataclass(frozen=True)
class WouldChange:
    """One into of a landed run; `pairs`: of the whole run."""

    plan: IntoPlan
    staging: IntoStaging
    pairs: Pairs

    @cached_property
    def matched(self) -> FromClause:
        if not self.plan.references:
            return self.staging.fate
        return as_linked(self.plan, self.staging, self.pairs, taken_in)

    def conflicts(self, connection: Connection) -> int:
        """How many conflicts the run would tell of."""
        return conflicts_in(connection, self.plan, self.staging, self.matched) if self._linked(connection) else 0

    def changes(self, connection: Connection, limit: int) -> list[dict[str, Any]]:
        """Rows that would create or update, with before and after of each column that moves, and rows with fields that
        both sides have changed, with both values; `limit` of them at most, in the shape of `Preview.changes`."""
        if limit <= 0:
            return []
        told = self._of_linked(connection, limit) if self._linked(connection) else []
        return told + self._of_new(connection, limit - len(told))

    def _linked(self, connection: Connection) -> bool:
        return bool(connection.scalar(select(exists().where(self.staging.fate.c["class"].in_(LINKED)))))

    @property
    def _columns(self) -> list[str]:
        return [column for item in self.plan.fields for column in item.columns]

    @property
    def _made(self) -> list[ColumnElement[Any]]:
        return [brought(reference, self.plan, self.staging.rows, self.pairs, taken_in).label(f"made_{reference.column}")
                for reference in self.plan.references]

    def _of_linked(self, connection: Connection, limit: int) -> list[dict[str, Any]]:
        plan, s, fate, columns = self.plan, self.staging.rows, self.staging.fate, self._columns
        resolved = resolve_rows(plan, self.staging, self.matched).subquery("resolved")
        v = verdicts(plan, self.staging, self.matched)
        fought = [is_news(plan, v, s, item) for item in plan.fields]
        query = (
            select(s.c.key, s.c.line, fate.c["class"].label("class"), resolved.c.record_id,
                   or_(resolved.c.changed, resolved.c.back).label("moved"), resolved.c.open,
                   *[v.c[f"c_{c}"].label(f"before_{c}") for c in columns],
                   *[resolved.c[f"n_{c}"].label(f"after_{c}") for c in columns],
                   *[v.c[f"r_{c}"].label(f"theirs_{c}") for c in columns],
                   *[v.c[f"w_{item.name}"] for item in plan.fields], *self._made)
            .select_from(resolved).join(fate, fate.c.row_no == resolved.c.row_no)
            .join(s, s.c.row_no == resolved.c.row_no).join(v, v.c.row_no == resolved.c.row_no)
            .where(or_(resolved.c.changed, resolved.c.back, resolved.c.open, *fought)).order_by(s.c.row_no).limit(limit)
        )
        told = []
        for row in connection.execute(query).mappings():
            after = {c: _value(row, "after", c) for c in columns}
            moved = {c: [row[f"before_{c}"], after[c]] for c in columns if row[f"before_{c}"] != after[c]}
            told.append({"into": plan.label, "key": row["key"], "line": row["line"], "record_id": row["record_id"],
                         "outcome": outcome_of(row["class"], row["moved"], row["open"]), "fields": moved,
                         "conflicts": {item.name: _both_sides(row, item) for item in plan.fields
                                       if row[f"w_{item.name}"] is not None}})
        return told

    def _of_new(self, connection: Connection, limit: int) -> list[dict[str, Any]]:
        plan, s, matched = self.plan, self.staging.rows, self.matched
        query = (
            select(s.c.key, s.c.line, *[
                (matched.c[f"l_{c}"] if item.reference else s.c[f"v_{c}"]).label(f"after_{c}")
                for item in plan.fields for c in item.columns
            ], *self._made)
            .join(matched, and_(matched.c.row_no == s.c.row_no, matched.c["class"] == "new")).order_by(s.c.row_no)
            .limit(limit)
        )
        told = []
        for row in connection.execute(query).mappings():
            moved = {c: [None, value] for c in self._columns if (value := _value(row, "after", c)) is not None}
            told.append({"into": plan.label, "key": row["key"], "line": row["line"], "record_id": None,
                         "outcome": "created", "fields": moved, "conflicts": {}})
        return told


def _both_sides(row: RowMapping, item: FieldPlan) -> dict[str, Any]:
    """A conflict of the row as `sync.conflict` has it."""
    ours = [row[f"before_{column}"] for column in item.columns]
    theirs = [_value(row, "theirs", column) for column in item.columns]
    one = len(item.columns) == 1
    return {"ours": ours[0] if one else ours, "theirs": theirs[0] if one else theirs, "winner": row[f"w_{item.name}"]}


def _value(row: RowMapping, side: str, column: str) -> Any:
    """The value of a column on one side; of a link, what names a record that the run would make."""
    made, found = row.get(f"made_{column}"), row[f"{side}_{column}"]
    if isinstance(found, list) and TO_COME in found:
        return [*[each for each in found if each != TO_COME], *[f"{MADE}{key}" for key in made or ()]]
    return f"{MADE}{made}" if made is not None and found == TO_COME else found
