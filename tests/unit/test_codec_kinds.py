"""Booleans, choices, sets, links, and what identifies companies, people and places."""

from __future__ import annotations

import csv
from pathlib import Path

import phonenumbers
import pytest

from mappings.codecs import places
from mappings.codecs.registry import CODECS, codec_name
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from mappings.words import FIELD_TYPES
from tests.codec_pages import decode, read


def test_booleans():
    cells = ["1", "0", "Oui", "NON", "true", "False", "1.0", "x", "?", ""]
    assert read(cells, {"type": "boolean"}) == [True, False, True, False, True, False, True, True, "NOT_BOOLEAN", None]
    assert read(["Actif", "clos", "1"], {"type": "boolean"}, true=["actif"], false=["Clos", "1"]) == [
        True,
        False,
        False,
    ]
    assert read(["", "x"], {"type": "boolean"}, blank=False) == [False, True]


def test_choices_are_spelled_as_the_entity_spells_them():
    spec = {"type": "choice", "values": ["A", "b", "B"]}
    assert read(["A", "a", "b", "B", "c", ""], spec) == ["A", "A", "b", "B", "NOT_A_CHOICE", None]
    assert read(["anything"], {"type": "choice"}) == ["anything"]


def test_type_family_and_archived_need_no_declaration():
    decoded = decode(
        {"T": ["customer", "x"], "A": ["1", "0"]}, {"type": "T", "archived": "A", "family": {"constant": "france"}}, {}
    )
    assert decoded.values.iloc[0].tolist() == ["customer", True, "france"]
    assert decoded.faults.frame["code"].tolist() == ["not_a_choice"]


def test_sets_are_sorted_and_distinct():
    spec = {"type": "choices", "values": ["a", "b", "c,d"]}
    cells = [r"b, a,b", r"c\,d", '["b", "a"]', "", " , ", "b,x", "[]"]
    found = [list(v) if v is not None and not isinstance(v, str) else v for v in read(cells, spec, split=",")]
    assert found == [["a", "b"], ["c,d"], ["a", "b"], None, None, "NOT_A_CHOICE", None]


def test_sets_may_go_through_a_code_table():
    spec = {"type": "choices", "values": ["a", "b"]}
    found = read(["2;1", "3;1"], spec, split=";", values={"1": "a", "2": "b"})
    assert (list(found[0]), found[1]) == (["a", "b"], "UNKNOWN_CODE")


def test_an_unknown_code_in_a_set_leaves_the_whole_set_unsaid():
    decoded = decode(
        {"X": ["2;1", "3;1", "3;1"]},
        {"f": {"from": "X", "split": ";", "values": {"1": "a", "2": "b"}, "else": "keep"}},
        {"f": {"type": "choices", "values": ["a", "b"]}},
    )
    assert decoded.kept["f"].tolist() == [False, True, True]
    assert not decoded.faults


def test_links_keep_their_keys_as_text():
    assert read(["007", " 7 "], {"type": "link", "to": "x"}, refers="x") == ["007", "7"]
    assert read(["732 829 320"], {"type": "link", "to": "x"}, refers="x", as_="siren") == ["732829320"]
    assert read(["1"], {"type": "link", "to": "x"}, refers="x", values={"1": "A|B"}) == [r"A\|B"]
    found = read(["2,1,2|3"], {"type": "links", "to": "x"}, refers="x", split=",", many=True)
    assert list(found[0]) == ["1", "2", r"2\|3"]


def test_company_numbers_that_spreadsheets_have_spoiled():
    assert read(["63557412200258.0", "5520135.0", "05520135", "5520135", "3.56E+13"], {"format": "siret"}) == [
        "63557412200258",
        "NOT_SIRET",
        "NOT_SIRET",
        "NOT_SIRET",
        "NOT_SIRET",
    ]
    assert read(["635574122.0", "05520135", "356 000 000"], {"format": "siren"}) == [
        "635574122",
        "005520135",
        "356000000",
    ]
    assert read(["552013500012"], {"format": "siret"}) == ["NOT_SIRET"]
    assert read(["0552013500012"], {"format": "siret"}) == ["00552013500012"]


def test_zeros_are_no_company():
    assert read(["0" * 9], {"format": "siren"}) == ["NOT_SIREN"]
    assert read(["0" * 14, "00000000000018"], {"format": "siret"}) == ["NOT_SIRET"] * 2
    assert read(["FR12000000000"], {"format": "vat"}) == ["NOT_VAT"]


def test_vat_numbers_of_other_countries():
    cells = ["CHE-107.787.577 MWST", "CHE107787577TVA", "CHE107787577", "GB 980 7806 84", "NO995525828MVA",
             "GR094259216",
             "be0697.449.992", "FR 71 635 574 122", "71635574122", "71635574122.0"]  # fmt: skip
    assert read(cells, {"format": "vat"}) == [
        "CHE107787577", "CHE107787577", "CHE107787577", "GB980780684", "NO995525828MVA", "EL094259216", "BE0697449992",
        "FR71635574122", "FR71635574122", "FR71635574122",
    ]  # fmt: skip
    assert read(["697449992"], {"format": "vat"}, region="BE") == ["BE0697449992"]


def test_phones():
    cells = ["06 39 98 77 15", "+33639986546", "0033.6.39.98.65.46", "+33 (0)6 39 98 65 46", "639986546",
             "+32 2 555 12 12",
             "0639986546.0", "3949", "06 39 98 77 15 / 06 39 98 77 16", "06 39 98 77 15 poste 12", "néant"]  # fmt: skip
    assert read(cells, {"format": "phone"}) == [
        "+33639987715", "+33639986546", "+33639986546", "+33639986546", "+33639986546", "+3225551212",
        "+33639986546", "NOT_PHONE", "NOT_PHONE", "NOT_PHONE", "NOT_PHONE",
    ]  # fmt: skip


def test_the_region_may_stand_in_a_column():
    decoded = decode(
        {
            "T": ["02 555 12 12", "0639987715", "044 668 18 00", "0639987715"],
            "C": ["Belgique", "FR", "CHE", "Atlantis"],
        },
        {"f": {"from": "T", "region": {"from": "C", "blank": "FR"}}},
        {"f": {"format": "phone"}},
    )
    assert decoded.values["f"].tolist() == ["+3225551212", "+33639987715", "+41446681800", "+33639987715"]
    assert not decoded.faults


def test_a_region_that_is_no_country_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="not a country"):
        read(["0639987715"], {"format": "phone"}, region="Atlantis")


def test_emails():
    cells = ["Jean.Dupont@FIRME.FR", "INFO@firme.example", "a@b", "a b@c.fr", "jean@société.fr", "j@x.local"]
    assert read(cells, {"format": "email"}) == [
        "Jean.Dupont@firme.fr",
        "info@firme.example",
        "NOT_EMAIL",
        "NOT_EMAIL",
        "jean@société.fr",
        "NOT_EMAIL",
    ]


def test_postal_codes():
    spec = {"format": "postal_code"}
    assert read(["75001", "1000", " sw1a  1aa ", "(x)", "75001.0"], spec) == [
        "75001",
        "1000",
        "SW1A 1AA",
        "NOT_POSTAL_CODE",
        "75001",
    ]
    assert read(["1000", "F-75001", "75 001", "7500", "750011", "1000.0"], spec, region="FR") == [
        "01000",
        "75001",
        "75001",
        "07500",
        "NOT_POSTAL_CODE",
        "01000",
    ]
    assert read(["SW1A1AA", "x"], spec, region="GB") == ["SW1A 1AA", "NOT_POSTAL_CODE"]
    assert read(["1012ab", "1012 AB"], spec, region="NL") == ["1012 AB"] * 2
    assert read(["B-1000"], spec, region="BE") == ["1000"]
    assert read(["1000205"], spec, region="PT") == ["1000-205"]


def test_countries_by_code_and_name():
    cells = ["fr", "FRA", "France", "ÉTATS-UNIS", "Cote d’Ivoire", "Germany", "Royaume Uni", "Atlantis"]
    assert read(cells, {"format": "country"}) == ["FR", "FR", "FR", "US", "CI", "DE", "GB", "NOT_COUNTRY"]


def test_the_table_of_countries_is_whole_and_unambiguous():
    with (Path(places.__file__).parent / "countries.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    codes = {row["alpha2"] for row in rows}
    assert len(codes) == len(rows) == len({row["alpha3"] for row in rows}) == 250
    assert set(phonenumbers.SUPPORTED_REGIONS) - {"AC", "TA"} <= codes
    assert set(places.POSTAL_CODES) <= codes
    names = [places.folded(name) for row in rows for name in row["names"].split(";")]
    assert len(names) == len(set(names))
    assert all(names)


def test_currencies():
    assert read(["eur", "€", "XOF", "EURO", "FRANC", "EU"], {"format": "currency"}) == [
        "EUR",
        "EUR",
        "XOF",
        "EUR",
        "NOT_CURRENCY",
        "NOT_CURRENCY",
    ]


def test_web_addresses():
    cells = ["https://www.a-b.example/x?y=1#z", "HTTP://WWW.A.FR/Path", "www.a.fr", "a.fr", "a.fr:8080/x",
             "ftp://a.fr", "a b.fr",
             "http://", "http://société.fr", "http://a.fr:99999", "javascript:alert(1)",
             "mailto:a@b.fr", "a@b.fr", "https://user@b.fr/x"]  # fmt: skip
    assert read(cells, {"type": "url"}) == [
        "https://www.a-b.example/x?y=1#z", "http://www.a.fr/Path", "https://www.a.fr", "https://a.fr",
        "https://a.fr:8080/x", "NOT_URL", "NOT_URL", "NOT_URL", "http://société.fr", "NOT_URL", "NOT_URL",
        "NOT_URL", "NOT_URL", "https://user@b.fr/x",
    ]  # fmt: skip


def test_files():
    cells = ["docs/a.pdf", r"C:\ged\a b.pdf", "../a.pdf", "docs/", "a\nb", "a..b", "x" * 2000]
    assert read(cells, {"type": "file"}) == [
        "docs/a.pdf",
        r"C:\ged\a b.pdf",
        "NOT_FILE",
        "NOT_FILE",
        "NOT_FILE",
        "a..b",
        "NOT_FILE",
    ]


def test_every_type_and_format_has_a_codec_of_its_own():
    formats = ["siren", "siret", "vat", "iban", "phone", "email", "postal_code", "country", "currency"]
    field_map = FieldMap.model_validate({"from": "X"})
    for field_type in FIELD_TYPES:
        assert codec_name(field_map, FieldSpec(type=field_type)) in CODECS
    for form in formats:
        assert codec_name(field_map, FieldSpec.model_validate({"format": form})) == form
    assert codec_name(FieldMap.model_validate({"from": "X", "as": "text"}), FieldSpec(format="siret")) == "text"


def test_a_codec_that_there_is_not_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="no codec 'sirett'"):
        read(["1"], {}, as_="sirett")
