"""`check` of what only several flows together show, and of flows that write back."""

from __future__ import annotations

from pathlib import Path

from tests.check_desk import FLOW, flow_told, told

SUPPLIERS = "flow: suppliers\nsystem: erp\nread: {files: 'SUP_*.csv'}\ninto: [{entity: company, key: [SITE, CODE], fields: {name: NOM}}]\n"
ORDERS = "flow: orders\nsystem: hr\nread: {files: 'O.csv'}\ninto: [{entity: address, key: N, fields: {company: {from: C, refers: {entity: company, in: erp, ids: IDS}}}}]\n"


def test_ids_that_may_be_two_records_are_told(tmp_path: Path):
    text = FLOW.replace("{name: NOM}", "{name: NOM, parent: {from: P, refers: company}}")
    problems = told(tmp_path, {"flows/customers.yaml": text, "flows/suppliers.yaml": SUPPLIERS})
    said = "parent: erp numbers company in customers and suppliers; say which with `ids`, or 17 may be two company records"
    assert problems == [f"flows/customers.yaml:7:51: warning: {said}"]


def test_a_key_of_two_columns_is_referred_to_by_two(tmp_path: Path):
    files = {"flows/suppliers.yaml": SUPPLIERS, "flows/orders.yaml": ORDERS.replace("IDS", "suppliers")}
    said = "company: company is known there by SITE and CODE, and this gives 1; give both with join: {columns: [SITE, CODE]}"
    assert told(tmp_path, files) == [f"flows/orders.yaml:4:43: {said}"]


def test_a_part_of_the_file_name_in_a_key_has_to_be_known_to_the_one_who_refers(tmp_path: Path):
    files = {
        "flows/customers.yaml": FLOW.replace("key: CODE", "key: [$company, CODE]"),
        "flows/orders.yaml": ORDERS.replace("IDS", "customers"),
    }
    said = ("company: company is known there by $company and CODE, and this file's name has no $company; "
            "give every part with join: {columns: […]}, or refer `by` a field")
    assert told(tmp_path, files) == [f"flows/orders.yaml:4:43: {said}"]
    files["flows/orders.yaml"] = files["flows/orders.yaml"].replace("'O.csv'", "'O_{company}.csv'")
    assert told(tmp_path, files) == []


def test_masters_that_never_speak_are_told(tmp_path: Path):
    own = "entity: company\nmasters: {name: hr, city: {system: [erp, hr], lock: false}, archived: erp, type: erp}\n"
    text = FLOW.replace("    key", "    absent: archive\n    defaults: {type: customer}\n    key").replace("read: {", "read: {full: true, ")
    problems = told(tmp_path, {"entities/company.yaml": own, "flows/customers.yaml": text})
    assert problems == [
        "entities/company.yaml:2:17: warning: masters.name: no flow of hr says anything about company.name, so the lock would keep everybody from ever changing it",
        "entities/company.yaml:2:37: warning: masters.city: no flow of erp says anything about company.city",
        "entities/company.yaml:2:42: warning: masters.city: no flow of hr says anything about company.city",
    ]


def test_children_that_are_archived_when_their_owner_names_them_no_more_need_the_master_of_archived(tmp_path: Path):
    own = "entity: address\nmasters: {archived: erp}\n"
    said = "entities/address.yaml:2:21: warning: masters.archived: no flow of erp says anything about address.archived" \
        ", so the lock would keep everybody from ever changing it"
    for absent, problems in (("", []), ("absent: archive, ", []), ("absent: unlink, ", [said])):
        child = f"  - {{entity: address, owner: company, key: RUE, whole: true, {absent}fields: {{street: RUE}}}}\n"
        files = {"entities/address.yaml": own, "flows/customers.yaml": FLOW + child}
        assert told(tmp_path, files) == problems


def test_what_no_flow_says_is_not_told_while_a_flow_cannot_be_read(tmp_path: Path):
    own = "entity: company\nmasters: {name: hr}\n"
    broken = "flow: staff\nsystem: hr\nread: {files: 'S.csv'}\nint: []\n"
    problems = told(tmp_path, {"entities/company.yaml": own, "flows/staff.yaml": broken})
    assert problems == ["flows/staff.yaml:4:1: unknown key 'int'; did you mean 'into'?"]


def test_a_mistake_that_only_an_heir_makes_of_an_inherited_line_names_the_heir(tmp_path: Path):
    heir = "flow: places\nlike: customers\ninto: {entity: address, key: CODE, fields: {street: NOM}}\n"
    base = FLOW.replace("  - entity", "    entity")
    problems = told(tmp_path, {"flows/customers.yaml": base, "flows/places.yaml": heir})
    inherited = "(in places, mappings/flows/places.yaml, which inherits this line)"
    assert problems == [f"flows/customers.yaml:7:14: there is no field of address 'name'; there is company, billed, role, street, type, family and archived {inherited}"]


def test_a_link_that_may_stay_empty_is_no_mistake_where_nobody_fills_it(tmp_path: Path):
    for otherwise, mark, so in (("blank", "warning: ", "this stays empty"), ("reject", "", "this refuses every row with one"),
                                ("park", "", "this would wait for ever")):
        refers = f"{{entity: company, in: hr, else: {otherwise}}}"
        text = FLOW.replace("{name: NOM}", f"{{name: NOM, parent: {{from: P, refers: {refers}}}}}")
        said = f"parent: no flow of hr fills company, so {so}; erp does: refers: {{entity: company, in: erp}}"
        assert told(tmp_path, {"flows/customers.yaml": text}) == [f"flows/customers.yaml:7:51: {mark}{said}"]


def test_newest_needs_to_know_how_new_a_row_is(tmp_path: Path):
    own = "entity: company\nmasters: {name: shared, city: erp}\non_conflict: {else: newest}\n"
    text = FLOW.replace("{name: NOM}", "{name: NOM, city: V}")
    problems = told(tmp_path, {"entities/company.yaml": own, "flows/customers.yaml": text})
    said = "name: conflicts go to the newest, and this flow does not tell how new a row is; write read.stamp, the column with its time of change"
    assert problems == [f"flows/customers.yaml:7:14: {said}"]
    stamped = text.replace("read: {", "read: {stamp: MODIFIED, ")
    assert told(tmp_path, {"entities/company.yaml": own, "flows/customers.yaml": stamped}) == []


def test_of_a_flow_that_only_writes_files_no_stamp_is_asked_for(tmp_path: Path):
    out = """flow: out
system: hr
direction: out
write: {files: "OUT_{number:03d}.csv", reference: ID}
into: {entity: company, ids: customers, key: ID, fields: {name: NAME, city: CITY}}
"""
    back = """flow: back
system: hr
read: {files: "BACK.csv", stamp: AT}
into: {entity: company, ids: customers, key: ID, fields: {name: NAME, city: CITY}}
"""
    own = "entity: company\nmasters: {else: shared}\non_conflict: {else: newest}\n"
    stamped = FLOW.replace("read: {", "read: {stamp: MODIFIED, ")
    assert told(tmp_path, {"entities/company.yaml": own, "flows/customers.yaml": stamped, "flows/out.yaml": out,
                           "flows/back.yaml": back}) == []


def test_flows_that_fill_the_same_ids_in_different_orders_are_told(tmp_path: Path):
    other = "flow: more\nsystem: erp\nread: {files: 'M.csv', version: REV}\ninto: [{entity: company, ids: customers, key: CODE, fields: {name: N, city: V}}]\n"
    said = "customers and more both fill name of customers, one in the order of its files, the other of its version: which of two rows is newer cannot be told"
    assert told(tmp_path, {"flows/more.yaml": other}) == [f"flows/more.yaml:4:8: warning: {said}"]


def test_keys_of_one_id_space_have_one_shape(tmp_path: Path):
    text = SUPPLIERS.replace("entity: company, ", "entity: company, ids: customers, ")
    said = "keys of customers are SITE and CODE here and CODE in customers, so no two are ever the same; give them as many parts, or an id space each (`ids`)"
    assert told(tmp_path, {"flows/suppliers.yaml": text}) == [f"flows/suppliers.yaml:4:42: {said}"]


def test_flows_that_wait_for_each_other_are_told(tmp_path: Path):
    files = {"flows/customers.yaml": FLOW + "after: suppliers\n", "flows/suppliers.yaml": SUPPLIERS + "after: [customers]\n"}
    assert told(tmp_path, files) == [
        "flows/customers.yaml:8:8: after: flows wait for each other: customers -> suppliers -> customers",
        "flows/suppliers.yaml:5:9: after: flows wait for each other: suppliers -> customers -> suppliers",
    ]


def test_one_file_in_two_formats_is_told(tmp_path: Path):
    other = SUPPLIERS.replace("'SUP_*.csv'", "'CLI_*.csv', format: {csv: {delimiter: ';'}}")
    problems = told(tmp_path, {"flows/suppliers.yaml": other, "flows/customers.yaml": FLOW.replace("read: {", "read: {format: csv, ")})
    assert problems == [
        "flows/suppliers.yaml:3:15: warning: suppliers reads files that customers reads too (CLI_*.csv and CLI_{company}_{day:%Y%m%d}.csv), in another format; one of them is wrong, or a pattern is too wide"
    ]


# two-way


def test_a_flow_that_writes_back_has_one_into_and_a_key_nobody_edits(tmp_path: Path):
    text = FLOW + "direction: two-way\n"
    problems = flow_told(tmp_path, text.replace("NOM", "CODE"))
    assert problems == [
        "7:14: name is part of the key (CODE) and can be edited in the CRM; lock it, or leave it out",
        "8:12: direction: two-way, but erp is a folder: write one flow that reads its files and one of direction: out that "
        "writes them; the same `ids` let both speak of the same keys",
    ]


def test_a_field_that_is_written_back_has_to_lose_nothing(tmp_path: Path):
    text = FLOW.replace("{name: NOM}", "{name: NOM, city: {from: V, case: upper}, since: {from: D, format: '%d/%m/%y'}, grade: {from: G, values: {1: A, 2: B}}}")
    problems = flow_told(tmp_path, text + "direction: two-way\n")
    assert [problem.partition(": ")[0] for problem in problems] == ["7:25", "7:55", "8:12"]
    assert "city cannot be written back as it is read: `case` loses information" in problems[0]
    assert "since cannot be written back as it is read: `format` loses information" in problems[1]


def test_flows_that_would_chase_each_others_writes_are_told(tmp_path: Path):
    other = "flow: other\nsystem: hr\ndirection: two-way\nread: {files: 'M.csv'}\ninto: [{entity: company, key: CODE, fields: {name: {from: N, case: upper}}}]\n"
    problems = told(tmp_path, {"flows/customers.yaml": FLOW + "direction: two-way\n", "flows/other.yaml": other})
    said = "name: customers and other share it and change it in different ways (case), so each would undo the other's writes for ever"
    assert f"flows/other.yaml:5:46: {said}" in problems
