"""Which fields of the mapping a source can speak of: those whose columns it has."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.file.neutral import KEPT
from mappings.codecs.into import is_there, resolve_column
from mappings.codecs.source_value import source_columns
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from pipelines.stages.plan import IntoPlan


def active_plans(flow: Flow, plans: tuple[IntoPlan, ...], columns: tuple[str, ...], variables: Mapping[str, str]
                 ) -> tuple[IntoPlan, ...]:
    """The plans narrowed to the fields whose columns the source has.

    Raises ConfigurationError when a column of a key, of a condition or of a required field is missing.
    """
    known = {*columns, *(f"${name}" for name in variables)}
    missing: list[str] = []
    narrowed = []
    for plan in plans:
        if plan.into.each:
            narrowed.append(plan)
            continue
        needed: list[int | str] = [*plan.into.key, *plan.into.when]
        present = []
        for item in plan.fields:
            if is_there(columns, item.map):
                present.append(item.name)
            elif item.map.required:
                needed += source_columns(item.map)
        missing += [f"{plan.label}: {column}" for column in needed if not _known(known, columns, column)]
        narrowed.append(plan.narrowed(present))
    if missing:
        listed = ", ".join(repr(column) for column in dict.fromkeys(missing))
        raise ConfigurationError(
            f"the source lacks columns that the mapping needs: {listed}", where=f"flow {flow.flow}",
            todo=f"The source has: {', '.join(name for name in columns if name not in KEPT)}",
        )
    return tuple(narrowed)


def _known(known: set[str], columns: tuple[str, ...], column: int | str) -> bool:
    return (isinstance(column, str) and column in known) or resolve_column(columns, column) is not None
