"""Text, and what the mapping does to it before any codec: trim, html, replace, split, extract, pattern, values."""

from __future__ import annotations

import pytest

from mappings.codecs.folding import folded
from mappings.codecs.source_value import joined_text, split_text
from mappings.errors import ConfigurationError
from tests.codec_pages import decode, read


def test_text_is_trimmed_of_every_kind_of_space_unless_the_mapping_says_otherwise():
    assert read(["\u00a0 a \u202f", "  ", "é"], {}) == ["a", None, "é"]
    assert read([" a ", " ", ""], {}, trim=False) == [" a ", " ", None]


def test_what_nobody_sees_at_the_edges_of_a_text_is_no_part_of_it():
    assert read(["\u200bC12\ufeff", "\u200e \u202aC12\u202c", "\u200b", "a\u200bb"], {}) == ["C12", "C12", None, "a\u200bb"]
    assert read(["\u200bC12"], {}, trim=False) == ["\u200bC12"]


def test_letters_typed_in_two_characters_are_one():
    assert read(["e\u0301te\u0301", "été"], {}) == ["été", "été"]


def test_case_and_collapse():
    assert read(["a  b\u00a0\tc\n d", "x"], {}, collapse=True) == ["a b c d", "x"]
    assert read(["L'ORÉE dumas"], {}, case="title") == ["L'Orée Dumas"]
    assert read(["Été"], {}, case="upper") == ["ÉTÉ"]
    assert read(["ÉTÉ"], {}, case="lower") == ["été"]


def test_lengths_count_characters_and_the_shorter_limit_holds():
    assert read(["ééé", "éééé"], {"max": 3}) == ["ééé", "TOO_LONG"]
    assert read(["ééé", "éé"], {"max": 3}, max=2) == ["TOO_LONG", "éé"]
    assert read(["éé é", "éé"], {}, max=3, cut=True) == ["éé", "éé"]


def test_a_length_fault_tells_how_long_and_how_long_it_may_be():
    faults = decode({"X": ["abcd", "abcde"]}, {"f": "X"}, {"f": {"max": 3}}).faults.frame
    assert faults["params"].tolist() == ['{"length":4,"max":3}', '{"length":5,"max":3}']
    assert faults["value"].tolist() == ["abcd", "abcde"]


def test_html_becomes_plain_text():
    cells = [
        "D&eacute;lai &lt; 3&nbsp;j",
        "<p>Un<br/>deux</p><p>trois</p>",
        "<script>x()</script>a",
        "5 < 6 & 7",
        "pur",
    ]
    assert read(cells, {}, html=True) == ["Délai < 3\u00a0j", "Un\ndeux\ntrois", "a", "5 < 6 & 7", "pur"]


def test_replacements_are_literal_and_in_order():
    assert read(["a\\nb", "0000-00-00"], {}, replace={"\\n": "\n", "0000-00-00": ""}) == ["a\nb", None]
    assert read(["a"], {}, replace={"a": "b", "b": "c"}) == ["c"]


def test_a_part_of_a_split_cell():
    cells = ["a, b ,c", "a", "", r"x\,y,z"]
    assert read(cells, {}, split=",", part=2) == ["b", None, None, "z"]
    assert read(cells, {}, split=",", part=-1) == ["c", "a", None, "z"]
    assert read(cells, {}, split=",", part=1) == ["a", "a", None, "x,y"]


@pytest.mark.parametrize("values", [["a"], ["a,b", "c"], ["\\x", "y"], [",", ",,"]])
def test_joined_values_split_into_the_same_values(values):
    assert split_text(joined_text(values, ","), ",") == values


def test_extract_takes_the_first_group_and_no_match_is_blank():
    assert read(["RCS Lyon 732829320", "none", ""], {}, extract=r"(\d{9})") == ["732829320", None, None]
    assert read(["ab12"], {}, extract=r"\d+") == ["12"]


def test_a_pattern_must_match_whole():
    assert read(["A12", "A123", "xA12", ""], {}, pattern=r"A\d\d") == ["A12", "PATTERN", "PATTERN", None]


def test_a_pattern_that_is_no_regular_expression_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="not a regular expression"):
        read(["a"], {}, pattern="(")


def test_first_takes_the_first_column_that_is_not_blank():
    decoded = decode(
        {"A": ["1", " ", "", None, None], "B": ["2", "3", "", "4", None]}, {"f": {"first": ["A", "B"]}}, {"f": {}}
    )
    assert decoded.values["f"].fillna("-").tolist() == ["1", "3", "-", "4", "-"]
    assert decoded.kept["f"].tolist() == [False, False, False, False, True]


def test_join_leaves_blanks_out():
    decoded = decode(
        {"A": ["a", "", "", None], "B": [" b ", "c", " ", None]},
        {"f": {"join": {"columns": ["A", "B"], "with": " - "}}},
        {"f": {}},
    )
    assert decoded.values["f"].fillna("?").tolist() == ["a - b", "c", "?", "?"]
    assert decoded.kept["f"].tolist() == [False, False, False, True]


def test_code_tables():
    spec = {"type": "choice", "values": ["transfer", "cheque"]}
    table = {"1": "transfer", "2": "cheque", "9": None}
    assert read(["1", "2", "9", "", "3"], spec, values=table) == ["transfer", "cheque", None, None, "UNKNOWN_CODE"]
    assert read(["1", "3"], spec, values=table, else_="blank") == ["transfer", None]
    assert read(["1", "CHEQUE", "3"], spec, values=table, else_="raw") == ["transfer", "cheque", "NOT_A_CHOICE"]
    assert read(["", "1"], spec, values={"": "cheque", "1": "transfer"}) == ["cheque", "transfer"]


def test_a_code_outside_the_table_may_say_nothing():
    decoded = decode({"X": ["1", "3"]}, {"f": {"from": "X", "values": {"1": "a"}, "else": "keep"}}, {"f": {}})
    assert decoded.kept["f"].tolist() == [False, True]
    assert not decoded.faults


def test_a_code_table_of_the_project_gives_values_of_the_fields_type():
    decoded = decode(
        {"X": ["O", "N"]},
        {"f": {"from": "X", "values": "@flags"}},
        {"f": {"type": "boolean"}},
        codes={"flags": {"O": "true", "N": "false"}},
    )
    assert decoded.values["f"].tolist() == [True, False]
    with pytest.raises(ConfigurationError, match="no code table"):
        read(["O"], {}, values="@missing")


def test_a_code_that_means_no_value_of_the_field_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="not one of"):
        read(["1"], {"type": "choice", "values": ["a"]}, values={"1": "b"})


def test_text_that_a_codec_refuses_may_be_kept_as_it_stands():
    spec = {"format": "vat"}
    assert read(["FR44732829320", "sans objet"], spec, invalid="as_is") == ["FR44732829320", "sans objet"]
    with pytest.raises(ConfigurationError, match="as_is"):
        read(["x"], {"type": "number"}, invalid="as_is")


def test_folding_keeps_what_two_spellings_share():
    assert folded("  L’Œuvre d'Été – Ⅳ_2 & Fils ") == "l oeuvre d ete iv 2 fils"
    assert folded("STRASSE") == folded("Straße")
