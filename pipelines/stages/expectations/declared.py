"""The entries of `expect:` of one into, checked, with the fields that each looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mappings.check.expectation_arguments import columns_named, columns_of_entity, faults_of, fields_judged, typed
from mappings.check.expectations import EVERY, KNOWN, judges_rows
from mappings.errors import ConfigurationError
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into


@dataclass(frozen=True)
class Declared:
    """One expectation of an into. `arguments` as written; `given` with values as the fields hold them."""

    name: str
    arguments: Mapping[str, Any]
    given: Mapping[str, Any]
    fields: tuple[str, ...]  # judged
    columns: tuple[str, ...]  # looked at: those, and the fields of row_condition
    rows: bool
    where: str

    @property
    def critical(self) -> bool:
        return bool(self.arguments.get("severity", "critical") == "critical")

    @property
    def said(self) -> dict[str, Any]:
        """The arguments that say what is expected, without notes and the like."""
        return {word: value for word, value in self.arguments.items() if word not in EVERY}


def declared(into: Into, entity: Entity) -> list[Declared]:
    """What the into expects, in the order written. Raises ConfigurationError for what cannot be meant so."""
    columns = columns_of_entity(entity)
    where = f"expect of {into.label}"
    found: list[Declared] = []
    for entry in into.expect:
        for name, arguments in entry.items():
            faults = list(faults_of(name, arguments, columns))
            if faults:
                todo = "correct it; `navette check` shows the line"
                raise ConfigurationError("; ".join(faults), where=where, todo=todo)
            found.append(
                Declared(
                    name, arguments, typed(name, arguments, columns), fields_judged(name, arguments),
                    columns_named(name, arguments), judges_rows(name, arguments), where,
                )
            )
    return found


def is_there(item: Declared, into: Into, entity: Entity) -> bool:
    """Whether the source has every field that the expectation looks at: an absent column leaves its field untouched."""
    present = {name for name in columns_of_entity(entity) if owner_of(name, entity) in into.fields}
    return set(item.columns) <= present


def owner_of(column: str, entity: Entity) -> str:
    """The field that a store column belongs to: credit_limit for credit_limit_currency."""
    if column in entity.fields:
        return column
    field = column.rpartition("_")[0]
    return field if field in entity.fields else column


def scale_of(item: Declared, entity: Entity) -> int:
    """Digits after the point of the finest of the fields judged."""
    specs = [entity.fields.get(field, FieldSpec()) for field in item.fields]
    return max((spec.scale for spec in specs if spec.type in ("decimal", "money", "quantity")), default=0)


__all__ = ["KNOWN", "Declared", "declared", "is_there", "owner_of", "scale_of"]
