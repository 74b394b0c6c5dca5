"""A text made of a row's cells: where it comes from, and what is done to it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mappings.language.strict import Column, Columns, Position, ShortForm, Strict, Whole
from mappings.language.words import listed


def from_only(value: Any) -> Any:
    """`name: CT_INTITULE` is short for `name: {from: CT_INTITULE}`."""
    return {"from": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


class Join(Strict):
    """Several columns as one text; for a link to a key of several columns, its parts in order."""

    expected: ClassVar[str] = "{columns: [A, B]}, with `with` for what stands between"

    columns: Columns  # in this order; blank cells are left out
    with_: Annotated[str, Field(alias="with")] = " "  # what stands between them


class Text(Strict):
    """Exactly one source (from, first, join or constant), and how its text is prepared."""

    expected: ClassVar[str] = "a column, or what the text is made of: {from: COLUMN}"
    sources: ClassVar[tuple[str, ...]] = ("from", "first", "join", "constant")

    from_: Annotated[Column | None, Field(alias="from")] = None  # the column it stands in
    first: Columns | None = None  # the first of these columns that is not blank
    join: Join | None = None  # several columns as one text
    constant: Any = None  # the same value for every row, in plain form: 12.50, 2026-11-22, true
    trim: bool = True  # white space at both ends is dropped
    html: bool = False  # text: HTML entities and tags become plain text
    replace: dict[str, str] | None = None  # text: literal replacements, in order ('\\n' to a line break)
    # separator of several values in one cell (choices, links, `part`); '\\' + separator is literal
    split: str | None = None
    part: Whole | None = None  # with split: take only this part (from 1; -1 is the last)
    extract: str | None = None  # a regular expression; its first group, or all of it, is the value (no match: blank)
    collapse: bool = False  # runs of white space become one space
    case: Literal["upper", "lower", "title"] | None = None  # text: change the letters
    max: Position | None = None  # text: longest value
    cut: bool = False  # text: cut at max instead of rejecting

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        written = {(type(self).model_fields[name].alias or name) for name in self.model_fields_set}
        given = [word for word in self.sources if word in written and self._says(word)]
        if len(given) > 1:
            raise PydanticCustomError("said", "one source is enough: {given}", {"given": " and ".join(given)})
        if not given:
            question = "where does the value come from? Write {sources}"
            raise PydanticCustomError("incomplete", question, {"sources": listed(self.sources)})
        return self

    def _says(self, source: str) -> bool:
        """Whether anything is written there: no `constant:` without a value, no list of no columns."""
        value = getattr(self, "from_" if source == "from" else source)
        return bool(value.columns) if isinstance(value, Join) else value is not None and value != ()

    @property
    def columns(self) -> Columns:
        """The columns that the text itself comes from; none for a constant."""
        if self.from_ is not None:
            return (self.from_,)
        return self.first or (self.join.columns if self.join is not None else ())


AnyText = Annotated[Text, ShortForm(from_only, ({"type": ["string", "integer", "null"]},))]
"""`id: ACCOUNT` is short for `id: {from: ACCOUNT}`."""
