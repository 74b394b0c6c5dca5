"""Which fields of the mapping a source can speak of: those whose columns it has."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.file.neutral import KEPT
from mappings.codecs.columns import source_columns
from mappings.codecs.into import is_there, resolve_column
from mappings.errors import ConfigurationError
from mappings.language.derived import Derived
from mappings.language.flow import Flow
from mappings.language.strict import Column
from pipelines.stages.plan import IntoPlan


def active_plans(flow: Flow, plans: tuple[IntoPlan, ...], columns: tuple[str, ...], variables: Mapping[str, str]
                 ) -> tuple[IntoPlan, ...]:
    """The plans narrowed to the fields whose columns the source has.

    Raises ConfigurationError when a column of a key, of a condition or of a required field is missing, or where the
    source has a column of the name of a derived one.
    """
    known = {*columns, *(f"${name}" for name in variables)}
    _told_apart(flow, columns)
    missing: list[str] = []
    narrowed = []
    for plan in plans:
        if plan.into.each:
            narrowed.append(plan)
            continue
        needed: list[Column] = [*plan.into.key, *plan.into.when]
        present = []
        for item in plan.fields:
            if is_there(columns, item.map):
                present.append(item.name)
            elif item.map.required:
                needed += source_columns(item.map)
        missing += [f"{plan.label}: {lacking}" for column in needed for lacking in _lacking(known, columns, column)]
        narrowed.append(plan.narrowed(present))
    if missing:
        listed = ", ".join(repr(column) for column in dict.fromkeys(missing))
        raise ConfigurationError(
            f"the source lacks columns that the mapping needs: {listed}", where=f"flow {flow.flow}",
            todo=f"The source has: {', '.join(name for name in columns if name not in KEPT)}",
        )
    return tuple(narrowed)


def columns_unread(plan: IntoPlan, columns: tuple[str, ...]) -> list[str]:
    """The columns that the source lacks, of fields that it therefore says nothing on."""
    silent = [item for item in plan.into.fields.values() if not is_there(columns, item)]
    return list(dict.fromkeys(lacking for item in silent for column in source_columns(item)
                              for lacking in _lacking(set(columns), columns, column)))


def _lacking(known: set[str], columns: tuple[str, ...], column: Column) -> list[str]:
    """What the source lacks of a column: itself, or what a derived one is made of."""
    if isinstance(column, Derived):
        parts = [_lacking(known, columns, inner) for inner in column.text.columns]
        if column.text.first is not None and not all(parts):
            return []
        return [f"{lacking} (for {column})" for part in parts for lacking in part]
    there = (isinstance(column, str) and column in known) or resolve_column(columns, column) is not None
    return [] if there else [str(column)]


def _told_apart(flow: Flow, columns: tuple[str, ...]) -> None:
    """A name stands for one thing: the file's column, or the derived one."""
    both = ", ".join(repr(name) for name in flow.read.derive if name in columns)
    if both:
        raise ConfigurationError(
            f"the source has columns of the names of derived ones: {both}", where=f"flow {flow.flow}",
            todo="Give the derived columns other names under `read: derive:`.",
        )
