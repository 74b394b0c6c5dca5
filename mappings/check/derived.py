"""`read.derive`: what derived columns are called and made of, where they may stand, and that something uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mappings.check.columns import field_columns, known_columns, text_columns
from mappings.check.fields import check_text
from mappings.check.literal_values import literal_problem
from mappings.check.places import FlowPlace, Problems, Step
from mappings.codecs.conditions import as_text
from mappings.language.derived import ABOVE, Derived, in_source, is_part, roots
from mappings.language.entity import FieldSpec
from mappings.language.field import Out
from mappings.language.strict import Column
from mappings.language.text import Text
from mappings.language.words import nearest

NAME = re.compile(r"[^\W\d]\w*")


def check_derived(place: FlowPlace) -> Problems:
    derive = place.flow.read.derive
    if not derive:
        return
    if place.flow.direction == "out":
        yield place.key("read", "derive").problem("read.derive: a flow of direction: out reads nothing")
        return
    known = known_columns(place.flow.read) or ()
    for name, text in derive.items():
        if not NAME.fullmatch(name):
            yield place.key("read", "derive", name).problem(
                f"{name!r} cannot name a derived column: one word of letters, digits and _, not beginning with a digit")
        if name in known:
            yield place.key("read", "derive", name).problem(
                f"{name}: the file has a column of this name; give the derived one another")
        yield from _made_of(place, name, text)
        yield from check_text(place, ("read", "derive", name), text)
        yield from _cut(place, name, text)
    yield from _file_only(place)
    yield from _keys(place)
    yield from _written(place)
    yield from _unused(place)


def _made_of(place: FlowPlace, name: str, text: Text) -> Problems:
    above = list(place.flow.read.derive)
    above = above[: above.index(name)]
    for path, column in text_columns(text):
        spot = place.value("read", "derive", name, *path)
        if column == name:
            yield spot.problem(f"{name} is made of itself; give it another name than the file's column")
        elif column in place.flow.read.derive and column not in above:
            yield spot.problem(f"{name}: {column} stands below it; a derived column is made of those above it")
        elif isinstance(column, str) and column.startswith(ABOVE):
            yield spot.problem(
                f"{name}: {column}: ^ belongs where the column is used: ^{name} is the one of the row that holds the"
                " element")
    if not text.columns and (problem := literal_problem(text.constant, FieldSpec(), name)):
        yield place.value("read", "derive", name, "constant").problem(problem)
    elif not text.columns and not as_text(text.constant).strip():
        yield place.value("read", "derive", name).problem(f"{name}: constant: which text?")


def _cut(place: FlowPlace, name: str, text: Text) -> Problems:
    """A derived column is one text, and refuses none."""
    if text.max is not None and not text.cut:
        yield place.key("read", "derive", name, "max").problem(
            f"{name}: a derived column refuses nothing; write cut: true beside max")
    if text.cut and text.max is None:
        yield place.key("read", "derive", name, "cut").problem(f"{name}: cut at which length? Write `max`")
    if text.split is not None and text.part is None:
        yield place.key("read", "derive", name, "split").problem(
            f"{name} is one text, and split gives several; say which with `part`")


def _file_only(place: FlowPlace) -> Problems:
    """What is settled before a row is one of this flow's looks at the file's own columns."""
    read = place.flow.read
    asked: list[tuple[tuple[Step, ...], object]] = [
        (("changed_since",), read.changed_since), (("version",), read.version), (("stamp",), read.stamp)]
    asked += [((key, "by"), part.by) for key, part in (("records", read.records), ("trailer", read.trailer)) if part]
    asked += [(("trailer", "sum", name), name) for name in (read.trailer.sum if read.trailer else ())]
    if read.continues is not None:
        asked += [(("continues", key, place_), column) for key in ("blank", "fill")
                  for place_, column in enumerate(getattr(read.continues, key))]
        asked += [(("continues", "number"), read.continues.number)]
    for path, column in asked:
        if isinstance(column, str) and column in read.derive:
            shown = ".".join(step for step in path if isinstance(step, str))
            yield place.value("read", *path).problem(
                f"read.{shown}: {column} is a derived column, and this is told by a column of the file itself")


def _keys(place: FlowPlace) -> Problems:
    system = place.project.systems.get(place.flow.system)
    for into in place.intos():
        for position, column in enumerate(into.into.key):
            if not isinstance(column, Derived):
                continue
            spot = into.value("key", position)
            if system is not None and system.connector != "file":
                yield spot.problem(
                    f"key: {column} is a derived column, and {place.flow.system} is asked for rows by their key: name"
                    " a column that it has")
            elif in_source(column) and any(map(is_part, roots(column))):
                yield spot.problem(
                    f"key: {column} is made of a part of the file's name and of columns, so which keys a file speaks of"
                    " cannot be told; give the key a part for each")


def _written(place: FlowPlace) -> Problems:
    """Where `out` says how a field is written; what is written as it is read is told by the proof of that."""
    for into in place.intos():
        for name, line in into.into.fields.items():
            if place.flow.direction == "in" or not isinstance(line.out, Out):
                continue
            parts = [(key, part.from_) for key, part in (("currency", line.currency), ("unit", line.unit)) if part]
            asked: list[tuple[tuple[Step, ...], Column | None]] = [(("out", "to"), line.out.to)]
            asked += [((key, "from"), column) for key, column in parts]
            for path, column in asked:
                if column in place.flow.read.derive:
                    yield into.value("fields", name, *path).problem(
                        f"{name}: {column} is a derived column, which {place.flow.system} does not have; it cannot be"
                        " written")


def _unused(place: FlowPlace) -> Problems:
    derive = place.flow.read.derive
    named = [str(column).lstrip(ABOVE) for column in _used(place)]
    above = [column for text in derive.values() for column in text.columns]
    for name in derive:
        if name in named or name in above:
            continue
        near = nearest(name, [column for column in named if column not in derive and column not in above])
        hint = f"; is {near!r} meant for it?" if near else ""
        yield place.key("read", "derive", name).warning(f"read.derive: nothing uses {name}{hint}")


def _used(place: FlowPlace) -> Iterator[Column]:
    for into in place.flow.into:
        yield from (*into.key, *into.when)
        for line in into.fields.values():
            yield from (column for _, column in field_columns(line))
