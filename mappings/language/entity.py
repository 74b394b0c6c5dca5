"""An entity file: the fields of a kind of CRM record, and which system masters them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mappings.language.strict import NUMBER, Names, OneOrMore, Position, Strict
from mappings.words import FieldType

Format = Literal["siren", "siret", "vat", "iban", "phone", "email", "postal_code", "country", "currency"]


class FieldSpec(Strict):
    """One field of an entity. Columns in the store: one, or two for money (`_currency`) and quantity (`_unit`)."""

    type: FieldType = "text"  # what the field holds
    label: str = ""  # what people call it
    values: tuple[str, ...] = ()  # choice, choices: the allowed values
    to: str = ""  # link, links: the entity linked to
    scale: Annotated[int, Field(ge=0, le=12), NUMBER] = 2  # decimal, money, quantity: digits kept after the point
    max: Position | None = None  # text: longest value, in characters
    format: Format | None = None  # text that has a canonical form; stored canonical
    compare: Literal["text", "company"] = "text"  # matching: company names also without legal form, words in any order
    required: bool = False  # a record cannot exist without it (NOT NULL)
    index: bool = False  # looked up often (match rules and links are indexed without it)


class MasterRule(Strict):
    """Who owns one field: ranked systems (the first that has a value), or 'crm', or 'shared'."""

    systems: Annotated[Names, Field(alias="system")]  # ranked: the first that has a value
    lock: bool = True  # false: may be edited in the CRM until the system changes it again


MasterValue = str | tuple[str, ...] | MasterRule | dict[str, "str | tuple[str, ...] | MasterRule"]
"""sage | [sage, accounting] | {system: sage, lock: false} | by type: {customer: sage, supplier: cmms, else: crm}"""


class EntityFile(Strict):
    """mappings/entities/NAME.yaml: a whole entity, or what is added to a built-in one."""

    entity: str  # its name: a built-in entity, or one of your own
    label: str = ""  # what people call it
    types: tuple[str, ...] = ()  # values of `type`; the first is the default
    families: tuple[str, ...] = ()  # values of `family`; empty: any text
    fields: dict[str, FieldSpec] = Field(default={})  # name to field, beyond the built-in ones
    masters: dict[str, MasterValue] = Field(default={})  # field (type, family, archived too) or `else` to its owner
    on_conflict: dict[str, str] = Field(default={})  # field or `else`: newest | crm | review | a system
    show: Annotated[tuple[str, ...], OneOrMore] = ()  # the fields that name a record in lists and reports


ENTITY_COLUMNS = ("type", "family", "archived")
"""What every record has besides its own fields and may be mapped; `archived` is a boolean in the language."""
