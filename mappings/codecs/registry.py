"""Every codec by the name that `as:` takes, and which one a field has without it."""

from __future__ import annotations

from mappings.codecs import (
    choice,
    company_numbers,
    dates,
    durations,
    email,
    iban,
    numbers,
    phone,
    places,
    text,
    vat,
    web,
)
from mappings.codecs.reading import Codec
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from mappings.words import FieldType

_DECIMAL = ("decimal", "scale", "round")

CODECS: dict[str, Codec] = {
    "text": Codec("text", text.decode_text, text.encode_text, ("case", "collapse", "trim", "max", "cut", "html")),
    "integer": Codec("integer", numbers.decode_integer, numbers.encode_integer, ("decimal", "round")),
    "decimal": Codec("decimal", numbers.decode_decimal, numbers.encode_decimal, _DECIMAL),
    "money": Codec("decimal", numbers.decode_decimal, numbers.encode_decimal, (*_DECIMAL, "currency")),
    "quantity": Codec("decimal", numbers.decode_decimal, numbers.encode_decimal, (*_DECIMAL, "unit")),
    "date": Codec("date", dates.decode_date, dates.encode_date, ("format", "century")),
    "datetime": Codec("datetime", dates.decode_datetime, dates.encode_datetime, ("format", "century", "timezone")),
    "duration": Codec("decimal", durations.decode_duration, numbers.encode_decimal, ("decimal", "round", "unit")),
    "boolean": Codec("boolean", choice.decode_boolean, choice.encode_boolean, ("true", "false")),
    "choice": Codec("text", choice.decode_choice, choice.encode_choice, ("values",)),
    "choices": Codec("text", choice.decode_choice, choice.encode_choice, ("values", "split")),
    "siren": Codec("text", company_numbers.decode_siren, places.encode_code),
    "siret": Codec("text", company_numbers.decode_siret, places.encode_code),
    "vat": Codec("text", vat.decode_vat, places.encode_code, ("region",)),
    "iban": Codec("text", iban.decode_iban, places.encode_code),
    "phone": Codec("text", phone.decode_phone, places.encode_code, ("region",)),
    "email": Codec("text", email.decode_email, places.encode_code),
    "url": Codec("text", web.decode_url, places.encode_code),
    "file": Codec("text", web.decode_file, places.encode_code),
    "country": Codec("text", places.decode_country, places.encode_code),
    "currency": Codec("text", places.decode_currency, places.encode_code),
    "postal_code": Codec("text", places.decode_postal_code, places.encode_code, ("region",)),
}

_BY_TYPE: dict[FieldType, str] = {
    "text": "text", "long_text": "text", "number": "integer", "decimal": "decimal", "money": "money",
    "quantity": "quantity", "date": "date", "datetime": "datetime", "boolean": "boolean", "choice": "choice",
    "choices": "choices", "link": "text", "links": "text", "url": "url", "file": "file",
}


def codec_name(field_map: FieldMap, spec: FieldSpec) -> str:
    """The name of the field's codec: what the mapping says, else the field's format, else its type's own."""
    return field_map.as_ or spec.format or _BY_TYPE[spec.type]


def codec_of(field_map: FieldMap, spec: FieldSpec) -> Codec:
    """The field's codec; raises ConfigurationError for a name that there is not."""
    name = codec_name(field_map, spec)
    if name not in CODECS:
        raise ConfigurationError(f"there is no codec {name!r}", todo=f"Use one of {', '.join(CODECS)}.")
    return CODECS[name]
