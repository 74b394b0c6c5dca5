"""Values that a field of the CRM may hold, the awkward ones among them: what the round-trip proof tries."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mappings.codecs.reading import PRECISION
from mappings.language.entity import FieldSpec
from mappings.words import FieldType

_TEXTS = (
    "Maçonnerie d’Été", "ÉNERGIES HERVÉ sas", "007", "12.50", "1 234,5", "a;b,c|d", 'dit "le Grand"', "deux  espaces",
    "ligne 1\nligne 2", "5 < 6 & 7 > 4", "<b>gras</b>", "\\", "x", "œuvre ß", "true", "2026-11-22", "-", "0",
)
_FORMATS = {
    "siren": ("732829320", "356000000", "005520135"),
    "siret": ("73282932000074", "35600000049837", "00552013500012"),
    "vat": ("FR44732829320", "DE136695976", "BE0697449992", "FRK7399859412"),
    "iban": ("FR1420041010050500013M02606", "DE89370400440532013000"),
    "phone": ("+33612345678", "+33145678901", "+3225551212", "+16502530000"),
    "email": ("Jean.Dupont@firme.fr", "info@firme.example", "a+b@c-d.org"),
    "country": ("FR", "BE", "CI"),
    "currency": ("EUR", "USD", "XOF"),
    "postal_code": ("75001", "01000", "20090"),
}


_TYPES: dict[FieldType, list[Any]] = {
    "number": [0, 1, -1, 7, 1000, -1234567, 2**62],
    "date": [date(2026, 11, 22), date(1930, 1, 2), date(2024, 2, 29), date(2099, 12, 31)],
    # Whole seconds, and not in an hour that clocks show twice: no form without an offset can tell those.
    "datetime": [
        datetime(2026, 11, 22, 13, 45, 59, tzinfo=UTC), datetime(1930, 7, 1, 0, 0, 1, tzinfo=UTC),
        datetime(2069, 6, 30, 22, 59, 0, tzinfo=UTC),
    ],
    "boolean": [True, False],
    "url": ["https://www.firme.example", "http://firme.example:8080/a?b=c#d"],
    "file": ["contrats/2026/C-1.pdf", "Plan d'étage.dwg"],
    "choices": [["C1", "C2"], ["a b,c;d"]],
    "links": [["C1", "C2"], ["a b,c;d"]],
    "link": ["C0042", "a b", "007"],
}


def samples(spec: FieldSpec) -> list[Any]:
    """Values of the field in the form that the store holds; None is not among them."""
    if spec.values:
        single = list(spec.values)
        return [sorted(single), single[:1], sorted(single[-2:])] if spec.type == "choices" else single
    if spec.format is not None:
        return list(_FORMATS[spec.format])
    if spec.type in ("decimal", "money", "quantity"):
        unit = Decimal(1).scaleb(-spec.scale)
        largest = Decimal(10) ** (PRECISION - spec.scale) - unit
        return [Decimal(0), unit, -unit, Decimal(1), Decimal(1234567) + unit, Decimal(-1000), largest]
    if spec.type in _TYPES:
        return _TYPES[spec.type]
    longest = spec.max or 400
    texts = [text for text in (*_TEXTS, "Une valeur assez longue " * 20) if len(text.strip()) <= longest]
    return [text.strip() for text in texts] + ["y" * longest]
