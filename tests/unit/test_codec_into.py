"""A page into an entity: keys, conditions, blanks, faults, absent columns, links."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from mappings.codecs.columns import columns_needed, resolve_column
from mappings.codecs.into import decode_into
from mappings.codecs.keys import keys_of, parts_of
from mappings.errors import ConfigurationError
from tests.codec_pages import decode, entity, into, page, read


def faults(decoded):
    return [(fault.row, fault.field, fault.code) for fault in decoded.faults.frame.itertuples()]


def test_values_have_the_columns_and_types_of_the_store():
    decoded = decode(
        {
            "T": ["a"],
            "N": ["1"],
            "A": ["2.5"],
            "Q": ["3"],
            "D": ["2026-11-22"],
            "M": ["2026-11-22 10:00"],
            "B": ["1"],
            "C": ["x;y"],
            "P": ["7"],
            "S": ["7,8"],
        },
        {
            "t": "T",
            "n": "N",
            "a": {"from": "A", "currency": "EUR"},
            "q": {"from": "Q", "unit": "h"},
            "d": "D",
            "m": "M",
            "archived": "B",
            "c": {"from": "C", "split": ";"},
            "p": {"from": "P", "refers": "thing"},
            "s": {"from": "S", "refers": "thing", "split": ",", "many": True},
        },
        {
            "t": {},
            "n": {"type": "number"},
            "a": {"type": "money"},
            "q": {"type": "quantity", "scale": 3},
            "d": {"type": "date"},
            "m": {"type": "datetime"},
            "c": {"type": "choices", "values": ["x", "y"]},
            "p": {"type": "link", "to": "thing"},
            "s": {"type": "links", "to": "thing"},
        },
    )
    types = {name: str(pa.array(decoded.values[name].array).type) for name in decoded.values}
    assert not decoded.faults
    assert types == {
        "t": "large_string",
        "n": "int64",
        "a": "decimal128(28, 2)",
        "a_currency": "large_string",
        "q": "decimal128(28, 3)",
        "q_unit": "large_string",
        "d": "date32[day]",
        "m": "timestamp[us, tz=UTC]",
        "archived": "bool",
        "c": "list<item: string>",
        "p": "large_string",
        "s": "list<item: string>",
    }
    assert decoded.values["t"].dtype == "string[pyarrow]"
    row = decoded.values.iloc[0]
    assert (row["a"], row["a_currency"], row["q_unit"], row["d"]) == (Decimal("2.50"), "EUR", "h", date(2026, 11, 22))
    assert list(row["c"]) == ["x", "y"]
    assert list(row["s"]) == ["7", "8"]


def test_keys_join_trimmed_parts_so_that_no_two_rows_with_different_parts_share_one():
    frame = page({"A": ["a|b", "a", " x\u00a0", "p\\", "p"], "B": ["c", "b|c", "y", "|q", "\\|q"]})
    keys = keys_of(frame, ["A", "B"], {}).tolist()
    assert keys == ["a\\|b|c", "a|b\\|c", "x|y", "p\\\\|\\|q", "p|\\\\\\|q"]
    assert [parts_of(key) for key in keys] == [["a|b", "c"], ["a", "b|c"], ["x", "y"], ["p\\", "|q"], ["p", "\\|q"]]


def test_a_key_with_a_blank_column_part_is_refused_and_a_blank_variable_is_not():
    frame = page({"K": ["1", " ", None]})
    assert keys_of(frame, ["$company", "K"], {"company": ""}).tolist() == ["|1", pd.NA, pd.NA]
    decoded = decode_into(frame, into({}, ["$company", "K"]), entity({}), variables={"company": ""}, codes={})
    assert faults(decoded) == [(2, "K", "no_key"), (3, "K", "no_key")]


def test_a_key_that_lacks_parts_is_told_which():
    frame = page({"J": ["VE", "", "", "VE"], "P": ["", "1", "", "1\0"], "L": ["1", "1", "", "\0"]})
    decoded = decode_into(frame, into({}, ["J", "P", "L"]), entity({}), variables={}, codes={})
    assert sorted(faults(decoded)) == [(1, "P", "no_key"), (2, "J", "no_key"), (3, "J, P, L", "no_key"),
                                       (4, "L", "not_text"), (4, "P", "not_text")]


def test_a_key_of_the_files_name_alone_is_told_whole_where_the_name_lacks_it():
    decoded = decode_into(page({"K": ["1"]}), into({}, ["$a", "$b"]), entity({}), variables={"a": "", "b": ""}, codes={})
    assert faults(decoded) == [(1, "$a, $b", "no_key")]


def test_rows_that_when_leaves_out_are_skipped_without_faults_and_keep_their_keys():
    decoded = decode(
        {"N": ["x", "2", "x"], "T": ["a", "a ", ""], "S": ["0", "1", "1"]},
        {"n": "N"},
        {"n": {"type": "number"}},
        when={"T": ["a", "b"], "S": {"not": ["0"]}},
    )
    assert decoded.skipped.tolist() == [True, False, True]
    assert not decoded.faults
    assert decoded.values["n"].tolist() == [pd.NA, 2, pd.NA]
    assert decoded.keys.tolist() == ["1", "2", "3"]


def test_when_compares_yaml_values_as_text_and_null_with_blanks():
    decoded = decode(
        {"A": ["true", "1", "", "no", "X12"]},
        {},
        {},
        when={"A": [True, 1, None]},
    )
    assert decoded.skipped.tolist() == [False, False, False, True, True]
    matched = decode({"A": ["X12", "aX12", "X1"]}, {}, {}, when={"A": {"matches": r"X\d\d"}})
    assert matched.skipped.tolist() == [False, True, True]


def test_an_empty_cell_clears_unless_the_mapping_says_what_it_means():
    spec = {"f": {"type": "number"}}
    cells = {"X": ["1", " ", None]}

    def read_with(**mapping):
        decoded = decode(cells, {"f": {"from": "X", **mapping}}, spec)
        kept = decoded.kept["f"].tolist() if "f" in decoded.kept else None
        return decoded.values["f"].tolist(), kept, faults(decoded)

    assert read_with() == ([1, pd.NA, pd.NA], [False, False, True], [])
    assert read_with(blank="keep") == ([1, pd.NA, pd.NA], [False, True, True], [])
    assert read_with(blank=0) == ([1, 0, pd.NA], [False, False, True], [])
    assert read_with(required=True)[2] == [(2, "f", "required"), (3, "f", "required")]
    assert read_with(required=True, default=5) == ([1, pd.NA, pd.NA], [False, True, True], [])


@pytest.mark.parametrize(("kind", "blank", "found"), [("choices", ["y", "x"], ["x", "y"]), ("choices", "x", ["x"]),
                                                     ("links", ["k"], ["k"]), ("choices", [], None)])
def test_an_empty_cell_may_mean_a_set(kind, blank, found):
    decoded = decode({"X": ["a,b", ""]}, {"f": {"from": "X", "split": ",", "blank": blank}}, {"f": {"type": kind}})
    assert pa.array(decoded.values["f"]).to_pylist() == [["a", "b"], found]


def test_a_field_that_the_entity_requires_is_never_cleared():
    decoded = decode({"X": ["a", "", None]}, {"f": "X"}, {"f": {"required": True}})
    assert faults(decoded) == [(2, "f", "required")]
    assert decoded.kept["f"].tolist() == [False, False, True]


def test_a_field_whose_columns_the_source_lacks_is_left_out_and_others_are_not():
    decoded = decode(
        {"X": ["a"]},
        {"f": "X", "g": "Y", "h": {"first": ["Y", "X"]}, "c": {"constant": "k"}, "v": "$day"},
        {"f": {}, "g": {}, "h": {}, "c": {}, "v": {"type": "date"}},
        variables={"day": "2026-11-22"},
    )
    assert list(decoded.values) == ["f", "h", "c", "v"]
    assert decoded.values.iloc[0].tolist() == ["a", "a", "k", date(2026, 11, 22)]


def test_a_variable_that_the_file_name_does_not_give_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match=r"\$company"):
        keys_of(page({"K": ["1"]}), ["$company", "K"], {})


def test_columns_are_found_by_header_repeated_header_and_position():
    columns = ("Id", "Name", "Name#2", "3")
    assert resolve_column(columns, "Name#2") == "Name#2"
    assert resolve_column(columns, "Name#1") == "Name"
    assert resolve_column(columns, 2) == "Name"
    assert resolve_column(columns, "3") == "3"
    assert resolve_column(columns, "2") == "Name"
    assert resolve_column(columns, 9) is None
    assert resolve_column(columns, "$day") is None


def test_columns_needed_names_every_column_once():
    needed = columns_needed(
        into(
            {
                "a": "A",
                "b": {"first": ["A", "B"]},
                "c": {"join": {"columns": ["C", 4]}},
                "d": {"compute": "A * `E f`"},
                "e": {"from": "M", "currency": {"from": "CUR"}},
                "f": {"constant": 1},
                "g": {"from": "T", "region": {"from": "R"}},
            },
            ["$company", "K"],
            when={"W": ["1"]},
        )
    )
    assert needed == ["$company", "K", "W", "A", "B", "C", 4, "E f", "M", "CUR", "T", "R"]


@pytest.mark.parametrize("damaged", ["a\0b", "\0"])
def test_text_that_cannot_be_stored_is_a_fault_in_fields_and_keys(damaged):
    assert read([damaged, "b"], {}) == ["NOT_TEXT", "b"]
    frame = page({"K": [damaged, "1"]})
    decoded = decode_into(frame, into({}), entity({}), variables={}, codes={})
    assert faults(decoded) == [(1, "K", "not_text")]
    assert keys_of(frame, ["K"], {}).tolist() == [pd.NA, "1"]


def test_bytes_that_are_no_text_at_all_are_a_fault_too():
    raw = pa.LargeStringArray.from_buffers(
        2, pa.py_buffer(b"\0" * 8 + b"\3" + b"\0" * 7 + b"\4" + b"\0" * 7), pa.py_buffer(b"\xed\xa0\x80b")
    )
    frame = page({"K": ["1", "2"]}).assign(X=pd.Series(pd.arrays.ArrowStringArray(raw), index=pd.RangeIndex(1, 3)))
    decoded = decode_into(frame, into({"f": "X"}), entity({"f": {}}), variables={}, codes={})
    assert faults(decoded) == [(1, "f", "not_text")]
    assert decoded.values["f"].tolist() == [pd.NA, "b"]


def test_a_link_to_the_intos_own_rows_takes_the_variables_of_its_key():
    decoded = decode(
        {"G": ["7|a", ""]},
        {"parent": {"from": "G", "refers": "thing"}},
        {"parent": {"type": "link", "to": "thing"}},
        key=["$company", "K"],
        variables={"company": "FR"},
    )
    assert decoded.values["parent"].tolist() == ["FR|7\\|a", pd.NA]


def test_a_link_by_a_field_is_the_raw_value_and_a_joined_link_is_a_whole_key():
    decoded = decode(
        {"A": ["x|y", "x"], "B": ["1", ""]},
        {
            "by_name": {"from": "A", "refers": {"entity": "thing", "by": "name"}},
            "whole": {"join": {"columns": ["A", "B"]}, "refers": {"entity": "other", "in": "sage"}},
        },
        {"by_name": {"type": "link", "to": "thing"}, "whole": {"type": "link", "to": "other"}},
    )
    assert decoded.values["by_name"].tolist() == ["x|y", "x"]
    assert decoded.values["whole"].tolist() == ["x\\|y|1", pd.NA]


def test_money_needs_a_currency_beside_each_amount_and_only_there():
    decoded = decode(
        {"A": ["1", "", "2", "3"], "C": ["usd", "EUR", "", "ZZZ"]},
        {"f": {"from": "A", "currency": {"from": "C"}}},
        {"f": {"type": "money"}},
    )
    assert decoded.values["f_currency"].tolist() == ["USD", pd.NA, pd.NA, pd.NA]
    assert decoded.values["f"].tolist() == [Decimal("1.00"), pd.NA, pd.NA, pd.NA]
    assert faults(decoded) == [(4, "f", "not_currency"), (3, "f", "no_currency")]


def test_decoding_an_empty_page_gives_the_same_columns():
    decoded = decode({"X": []}, {"f": "X", "n": {"from": "X"}}, {"f": {}, "n": {"type": "number"}})
    assert list(decoded.values) == ["f", "n"]
    assert len(decoded.values) == 0
    assert not decoded.faults
