"""Which companies of the exports are one, worked out from the raw files alone (no part of Navette)."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

from stdnum.fr import siret as siret_numbers

from tests.real_exports.raw_exports import Row, rows


def folded(text: str) -> str:
    text = text.replace("œ", "oe").replace("Œ", "OE")
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[\W_]+", " ", bare.casefold()).split())


def company_name(text: str) -> str:
    """Without legal form, ETS for Établissements, words in any order."""
    name = folded(text)
    name = re.sub(r"\bs a r l\b|\bs a rl\b|\bsa rl\b", "sarl", name)
    name = re.sub(r"\bs a s u\b", "sasu", name)
    name = re.sub(r"\bs a s\b", "sas", name)
    name = re.sub(r"\be u r l\b", "eurl", name)
    name = re.sub(r"\bs c i\b", "sci", name)
    name = re.sub(r"\bs n c\b", "snc", name)
    name = re.sub(r"\bs a\b", "sa", name)
    name = re.sub(r"\b(societe par actions simplifiee|sarl|sasu?|sa|snc|sci|eurl|et)\b", " ", name)
    return " ".join(sorted(re.sub(r"\betablissements\b", "ets", name).split()))


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def tryton_companies(day: str) -> list[Row]:
    """Active parties with a category: code, name, siren, siret, vat, postal code."""
    found = {
        r["Code"]: {"key": r["Code"], "name": r["Nom"], "siren": bare(r["SIREN"]), "siret": "", "vat": "", "pc": ""}
        for r in rows("tryton_parties_fr_semicolon.csv", day)
        if r["Catégories"]
    }
    for r in rows("tryton_identifiers.csv", day):
        if r["Tiers/Code"] in found and r["Type"] == "fr_siret":
            found[r["Tiers/Code"]]["siret"] = bare(r["Code"])
        elif r["Tiers/Code"] in found and r["Type"] in ("eu_vat", ""):
            found[r["Tiers/Code"]]["vat"] = bare(r["Code"])
    for r in rows("tryton_addresses.csv", day):
        if r["Tiers/Code"] in found and r["Séquence"] == "1":
            found[r["Tiers/Code"]]["pc"] = bare(r["Code postal"])
    return list(found.values())


def dolibarr_companies(day: str) -> list[Row]:
    return [
        {
            "key": r["Id"],
            "name": r["Nom"],
            "siren": bare(r["Identifiant professionnel 1"]),
            "pc": bare(r["Code postal"]),
            "siret": bare(r["Identifiant professionnel 2"]),
            "vat": bare(r["Numéro TVA"]),
            "code": r["Code client"],
        }
        for r in rows("dolibarr_companies.xlsx", day)
    ]


Candidate = tuple[str, list[Row]]


def matcher(known: Iterable[Row], same: Callable[[str], str]) -> Callable[[Row], Candidate]:
    """The three rules of the flows: SIRET; name and postal code; VAT number (unless SIRETs differ)."""
    index: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in known:
        for key in keys(row, same):
            index[key].append(row)

    def look(row: Row) -> Candidate:
        for key in keys(row, same):
            hits = [h for h in index.get(key, []) if h is not row]
            if key[0] == "vat":
                hits = [h for h in hits if not (row["siret"] and h["siret"] and row["siret"] != h["siret"])]
            if hits:
                return key[0], hits
        return "", []

    return look


def keys(row: Row, same: Callable[[str], str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if row["siret"]:
        found.append(("siret", row["siret"]))
    if row["pc"] and row["name"]:
        found.append(("name", same(row["name"]), row["pc"]))
    if row["vat"]:
        found.append(("vat", row["vat"]))
    return found


def judge(new: list[Row], known: list[Row], same: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """key -> (new | linked | review | rejected, why). Of two new rows that are one company, both go to review."""
    result: dict[str, tuple[str, str]] = {}
    taken: dict[str, list[str]] = defaultdict(list)
    look = matcher(known, same)
    for row in new:
        if row["siret"] and not siret_numbers.is_valid(row["siret"]):
            result[row["key"]] = ("rejected", "not_siret")
            continue
        rule, hits = look(row)
        if len(hits) > 1:
            result[row["key"]] = ("review", f"ambiguous {rule}")
        elif hits:
            hit = hits[0]
            if rule == "name":
                agrees = not (row["siret"] and hit["siret"]) or row["siret"] == hit["siret"]
            else:
                agrees = same(row["name"]) == same(hit["name"]) or row["pc"] == hit["pc"]
            if agrees:
                result[row["key"]] = ("linked", hit["key"])
                taken[hit["key"]].append(row["key"])
            else:
                result[row["key"]] = ("review", f"doubtful {rule}")
        else:
            result[row["key"]] = ("new", "")
    for several in taken.values():
        if len(several) > 1:
            result.update(dict.fromkeys(several, ("review", "twins")))
    left = [row for row in new if result[row["key"]][0] == "new"]
    look = matcher(left, same)
    for row in left:
        rule, hits = look(row)
        if hits:
            result[row["key"]] = ("review", f"twins {rule}")
    return result
