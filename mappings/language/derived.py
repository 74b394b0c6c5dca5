"""Derived columns (`read.derive`): their names, wherever a mapping writes one, with what they are made of.

A name stays a text for whoever shows it; whoever reads its cells finds the way to them in it. Inside `each` a derived
column is made of the element, and `^id` is the one of the row that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from mappings.language.strict import Column, Columns
from mappings.language.text import Text

if TYPE_CHECKING:  # formulas are checked where fields are read, and name derived columns
    from mappings.language.field import FieldMap
    from mappings.language.flow import Into

T = TypeVar("T", bound=Text)
ABOVE = "^"


class Derived(str):
    """The name of a derived column, with the `text` that it is; the columns in there may be derived too."""

    text: Text

    def __new__(cls, name: str, text: Text) -> Derived:
        made = super().__new__(cls, name)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[str, Text]:  # type: ignore[override]  # copies are made with it
        return str(self), self.text


class Naming(str):
    """A formula, with the derived columns that it may name."""

    derived: Mapping[Column, Derived]

    def __new__(cls, formula: str, derived: Mapping[Column, Derived]) -> Naming:
        made = super().__new__(cls, formula)
        made.derived = derived
        return made

    def __getnewargs__(self) -> tuple[str, Mapping[Column, Derived]]:  # type: ignore[override]
        return str(self), self.derived


def derived_columns(derive: Mapping[str, Text]) -> dict[Column, Derived]:
    """By name; each may be made of those above it."""
    made: dict[Column, Derived] = {}
    for name, text in derive.items():
        made[name] = Derived(name, _made_of(text, made))
    return made


def with_derived(into: Into, derived: Mapping[Column, Derived]) -> Into:
    """The into with derived columns wherever it names one."""
    if into.each is not None:
        level = dict(derived)
        for _ in range(into.depth):
            level = {f"{ABOVE}{name}": _above(column) for name, column in level.items()}
            derived = {**derived, **level}
    return into.model_copy(update={
        "keyed": into.keyed.model_copy(update={"from_": _swapped(into.key, derived)}),
        "when": {str(name) if name not in derived else derived[name]: said for name, said in into.when.items()},
        "fields": {name: _field(line, derived) for name, line in into.fields.items()},
    })


def roots(column: Column) -> Columns:
    """The source's columns (and `$variables`) that a column is read from: itself, or what a derived one is made of."""
    if not isinstance(column, Derived):
        return (column,)
    return tuple(root for inner in column.text.columns for root in roots(inner))


def is_part(column: Column) -> bool:
    """Whether this is `$part`, a part of the file's name."""
    return isinstance(column, str) and column.startswith("$")


def by_name(column: Column) -> bool:
    """Whether the file's name alone tells what stands there: `$part`, or what is derived from such parts."""
    found = roots(column)
    return bool(found) and all(map(is_part, found))


def in_source(column: Column) -> bool:
    """Whether any column of the source has a say in it; neither constants nor parts of the file's name are one."""
    return not all(map(is_part, roots(column)))


def _made_of(text: T, derived: Mapping[Column, Column]) -> T:
    """The text with these columns for those that it names."""
    changed: dict[str, object] = {}
    if text.from_ is not None:
        changed["from_"] = derived.get(text.from_, text.from_)
    if text.first is not None:
        changed["first"] = _swapped(text.first, derived)
    if text.join is not None:
        changed["join"] = text.join.model_copy(update={"columns": _swapped(text.join.columns, derived)})
    return text.model_copy(update=changed)


def _field(line: FieldMap, derived: Mapping[Column, Derived]) -> FieldMap:
    changed: dict[str, object] = {}
    for key in ("currency", "unit", "region"):
        part = getattr(line, key)
        if getattr(part, "from_", None) in derived:
            changed[key] = part.model_copy(update={"from_": derived[part.from_]})
    if line.compute is not None:
        changed["compute"] = Naming(line.compute, derived)
    return _made_of(line, derived).model_copy(update=changed)


def _above(column: Column) -> Derived:
    assert isinstance(column, Derived)
    inner = {named: named if is_part(named) else _above(named) if isinstance(named, Derived) else f"{ABOVE}{named}"
             for named in column.text.columns}
    return Derived(f"{ABOVE}{column}", _made_of(column.text, inner))


def _swapped(columns: Columns, derived: Mapping[Column, Column]) -> Columns:
    return tuple(derived.get(column, column) for column in columns)
