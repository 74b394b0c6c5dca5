"""Countries, currencies and postal codes, in their canonical forms."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Any

from mappings.codecs.cells import Cells, contiguous, judged, matches, picked, placed, present
from mappings.codecs.folding import folded
from mappings.codecs.reading import Reading, Rule, refuse
from mappings.errors import ConfigurationError

_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL
LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR
ZMW ZWG ZWL
"""
CURRENCIES = frozenset(_CURRENCIES.split())
"""ISO 4217, the codes withdrawn since 2020 included: old documents keep theirs."""
_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "EURO": "EUR", "EUROS": "EUR"}

POSTAL_CODES = {
    "AD": r"AD[1-7]00", "AT": r"\d{4}", "AU": r"\d{4}", "BE": r"\d{4}", "BG": r"\d{4}", "BL": r"\d{5}",
    "CA": r"[A-Z]\d[A-Z] \d[A-Z]\d", "CH": r"\d{4}", "CZ": r"\d{3} \d{2}", "DE": r"\d{5}", "DK": r"\d{4}",
    "EE": r"\d{5}", "ES": r"\d{5}", "FI": r"\d{5}", "FR": r"\d{5}", "GB": r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}",
    "GF": r"\d{5}", "GP": r"\d{5}", "GR": r"\d{3} \d{2}", "HR": r"\d{5}", "HU": r"\d{4}", "IT": r"\d{5}",
    "LI": r"\d{4}", "LT": r"\d{5}", "LU": r"\d{4}", "LV": r"\d{4}", "MA": r"\d{5}", "MC": r"980\d{2}",
    "MF": r"\d{5}", "MQ": r"\d{5}", "NC": r"\d{5}", "NL": r"\d{4} [A-Z]{2}", "NO": r"\d{4}", "PF": r"\d{5}",
    "PL": r"\d{2}-\d{3}", "PM": r"\d{5}", "PT": r"\d{4}-\d{3}", "RE": r"\d{5}", "RO": r"\d{6}", "SE": r"\d{3} \d{2}",
    "SI": r"\d{4}", "SK": r"\d{3} \d{2}", "TN": r"\d{4}", "US": r"\d{5}(-\d{4})?", "WF": r"\d{5}", "YT": r"\d{5}",
}
"""The form of each country's postal codes; other countries: letters, digits, spaces and hyphens."""
_PARTED = {"CA": 3, "CZ": 3, "GR": 3, "SE": 3, "SK": 3, "NL": 4, "GB": -3}  # where the space stands
_HYPHEN = {"PL": 2, "PT": 4}
_ANY_POSTAL_CODE = r"[A-Z\d][A-Z\d -]{0,14}"


def decode_country(cells: Cells, rule: Rule) -> Reading:
    """The ISO 3166 two-letter code, from itself, the three-letter code, or the French or English name."""
    del rule
    known = countries()
    values = judged(cells, lambda text: known.get(folded(text)))
    return refuse(values, present(cells) & ~present(values), "not_country")


def region_code(text: str) -> str:
    """The two-letter code of a country that a mapping names; raises ConfigurationError for one that there is not."""
    code = countries().get(folded(text))
    if code is None:
        raise ConfigurationError(f"{text!r} is not a country", todo="Use its ISO code, such as FR.")
    return code


@cache
def countries() -> dict[str, str]:
    """Folded name or code of every country to its two-letter code."""
    with (Path(__file__).parent / "countries.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = {folded(name): row["alpha2"] for row in rows for name in row["names"].split(";")}
    return names | {row["alpha3"].lower(): row["alpha2"] for row in rows} | {
        row["alpha2"].lower(): row["alpha2"] for row in rows
    }


def decode_currency(cells: Cells, rule: Rule) -> Reading:
    """The ISO 4217 three-letter code; €, £ and $ are read too."""
    del rule
    values = judged(cells, _currency)
    return refuse(values, present(cells) & ~present(values), "not_currency")


def _currency(text: str) -> str | None:
    code = text.upper()
    return code if code in CURRENCIES else _SIGNS.get(code)


def decode_postal_code(cells: Cells, rule: Rule) -> Reading:
    """In the form of the field's `region`, where it has one: a lost leading zero and missing spaces are put right."""
    region = rule.region
    form = POSTAL_CODES.get(region or "", _ANY_POSTAL_CODE)
    # What already has the form has nothing to put right, unless there are spaces to close up.
    plain = matches(cells, rf"^(?:{form})$") & ~matches(cells, "  ")
    rest = present(cells) & ~plain
    values = placed(cells, rest, judged(picked(cells, rest), lambda text: postal_code(text, region)))
    return refuse(values, present(cells) & ~present(values), "not_postal_code", country=region or "any country")


def postal_code(text: str, region: str | None) -> str | None:
    """One postal code in its country's form; None where it has not that form."""
    code = re.sub(r"\.0+$", "", " ".join(text.upper().split()))
    form = POSTAL_CODES.get(region or "")
    if form is None:
        return code if re.fullmatch(_ANY_POSTAL_CODE, code) else None
    bare = re.sub(rf"^({region}|F|D|B|CH|L)[ -]+(?=\d)", "", code).replace(" ", "")
    if form == r"\d{5}" and re.fullmatch(r"\d{4}", bare):
        bare = "0" + bare
    if region in _PARTED and " " in form:
        bare = f"{bare[: _PARTED[region]]} {bare[_PARTED[region] :]}"
    if region in _HYPHEN and "-" not in bare:
        bare = f"{bare[: _HYPHEN[region]]}-{bare[_HYPHEN[region] :]}"
    return bare if re.fullmatch(form, bare) else None


def encode_code(values: Any, rule: Rule) -> Cells:
    """The canonical form, as it is."""
    del rule
    return contiguous(values)


