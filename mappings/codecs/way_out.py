"""Whether and how a field is written back, by its mapping alone: no value is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.language.derived import Derived, is_part
from mappings.language.entities import Mastery
from mappings.language.field import FieldMap


def one_way(field_map: FieldMap) -> str | None:
    """Why values read by this mapping cannot be written back; None where they can."""
    reasons = {
        "first": field_map.first is not None, "join": field_map.join is not None,
        "compute": field_map.compute is not None, "constant": field_map.constant is not None,
        "extract": field_map.extract is not None, "part": field_map.part is not None,
    }
    found = next((key for key, there in reasons.items() if there), None)
    if found is not None:
        return f"`{found}` reads a value that cannot be put back where it came from"
    if field_map.from_ is not None and is_part(field_map.from_):
        return f"{field_map.from_} is a part of the file's name, which is not written"
    parts = (part.from_ for part in (field_map.currency, field_map.unit) if part is not None)
    derived = next((column for column in (field_map.from_, *parts) if isinstance(column, Derived)), None)
    return None if derived is None else f"{derived} is a derived column, which the system does not have"


def may_be_sent(masters: Mapping[str, Mastery], system: str) -> bool:
    """Whether a field is ever written to `system`: not where the system alone masters it, whatever the type."""
    return any(rule.kind != "systems" or system not in rule.systems or len(rule.systems) > 1
               for rule in masters.values())


def way_out(field_map: FieldMap) -> FieldMap:
    """The mapping by which a field is written: as it is read, but for what `out` says."""
    if isinstance(field_map.out, bool):
        return field_map
    said = field_map.out
    changed: dict[str, Any] = {"from_": said.to, "first": None, "join": None, "compute": None, "constant": None,
                               "extract": None, "part": None, "replace": None}
    if said.values is not None:
        changed |= {"values": {raw: crm for crm, raw in said.values.items()}}
    if said.format is not None:
        changed |= {"format": (said.format,)}
    return field_map.model_copy(update=changed)
