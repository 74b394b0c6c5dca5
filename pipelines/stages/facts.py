"""What is known of one field of one row when both sides of it are settled (pipelines.stages.resolve)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_


@dataclass(frozen=True)
class Facts:
    """Of one field of one row: r is the row's value, c the record's."""

    known: ColumnElement[bool]
    differ: ColumnElement[bool]
    r_changed: ColumnElement[bool]
    c_changed: ColumnElement[bool]
    r_empty: ColumnElement[bool]
    c_empty: ColumnElement[bool]
    alias: ColumnElement[bool]  # the record has another, primary key in the id space
    apart: ColumnElement[bool]  # rebasing: both sides had agreed to keep different values
    reread: bool  # rebasing: that r changed is no edit, as far as anybody can tell
    over: tuple[str, ...] = ()  # the systems that master the field, where this one does not

    @property
    def both(self) -> ColumnElement[bool]:
        """Both sides changed since the base, to different values."""
        return and_(self.known, self.differ, self.r_changed, self.c_changed)

    @property
    def strangers(self) -> ColumnElement[bool]:
        """No base, and two different values."""
        return and_(~self.known, self.differ, ~self.c_empty, ~self.r_empty)

    @property
    def speaks(self) -> ColumnElement[bool]:
        """The master's row has news, or it meets the record, which no other row has spoken for."""
        return or_(and_(self.known, self.r_changed, ~self.apart), and_(~self.known, or_(~self.alias, self.c_empty)))

    @property
    def fills(self) -> ColumnElement[bool]:
        """No base, and only the row has a value."""
        return and_(~self.known, self.c_empty, ~self.r_empty)
