"""Flows as they are read: what they inherit, and mistakes told in plain words where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.errors import ConfigurationError
from mappings.language.node import Node
from mappings.language.source import parse_yaml
from tests.language_desk import FLOW, draft, told


def test_a_flow_takes_from_another_what_it_does_not_say_itself(tmp_path: Path):
    base = """\
flow: french
abstract: true
read: {format: {csv: {delimiter: ";", encoding: cp1252}}, full: true}
guard: {rejects: 5%}
into:
  entity: company
  key: CODE
  fields:
    name: {from: NOM, required: true}
    siret: SIRET
    postal_code: {as: postal_code, region: FR}
"""
    heir = """\
flow: customers
system: sage
like: french
read: {format: {csv: {encoding: utf-8}}, files: "*.csv"}
into:
  fields:
    name: {first: [RAISON, NOM]}
    siret: null
    postal_code: {from: CP}
"""
    read = draft(tmp_path, {"flows/french.yaml": base, "flows/customers.yaml": heir})
    assert read.problems == []
    flow = read.project.flows["customers"]
    assert list(read.project.flows) == ["customers"]
    assert flow.read.format is not None
    assert flow.read.format.csv is not None
    assert (flow.read.format.csv.delimiter, flow.read.format.csv.encoding) == (";", "utf-8")
    assert flow.guard.rejects == 0.05
    fields = flow.into[0].fields
    assert list(fields) == ["name", "postal_code"]
    assert (fields["name"].first, fields["name"].from_, fields["name"].required) == (("RAISON", "NOM"), None, True)
    assert (fields["postal_code"].from_, fields["postal_code"].as_) == ("CP", "postal_code")
    assert not flow.abstract


def test_a_format_of_another_kind_replaces_the_inherited_one(tmp_path: Path):
    files = {
        "flows/base.yaml": FLOW.replace("customers", "base") + "read: {format: csv}\n",
        "flows/customers.yaml": "flow: customers\nlike: base\nread: {format: {fec: {}}}\n",
    }
    read = draft(tmp_path, files)
    assert read.problems == []
    assert read.project.flows["customers"].read.format.fec is not None
    assert read.project.flows["base"].read.format.csv is not None


def test_the_text_of_a_flow_reads_back_as_the_same_flow(tmp_path: Path):
    files = {
        "flows/base.yaml": FLOW.replace("customers", "base") + 'guard: {creates: 20%}\nread: {files: "*.csv"}\n',
        "flows/customers.yaml": "flow: customers\nlike: base\nread: {full: true}\n",
    }
    project = draft(tmp_path, files).project
    text = project.flow_text("customers")
    tree, problems = parse_yaml(text.encode(), "shown.yaml")
    assert problems == []
    assert isinstance(tree, Node)
    assert text.splitlines()[:2] == ["flow: customers", "system: sage"]
    assert "like" not in text
    assert tree.plain()["guard"] == {"creates": "20%"}
    assert tree.plain()["read"] == {"files": "*.csv", "full": True}


def test_the_text_of_a_flow_that_there_is_not_names_the_nearest(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"there is no flow 'custmers'; did you mean 'customers'\?"):
        draft(tmp_path, {}).project.flow_text("custmers")


def test_flows_that_inherit_in_a_circle_are_told(tmp_path: Path):
    files = {
        "flows/a.yaml": "flow: a\nlike: b\n" + FLOW.partition("\n")[2],
        "flows/b.yaml": "flow: b\nlike: a\n" + FLOW.partition("\n")[2],
    }
    assert told(tmp_path, files) == ["flows/b.yaml:2:7: flows inherit in a circle: a -> b -> a"]


def test_a_mistake_in_a_base_is_told_once_and_where_it_stands(tmp_path: Path):
    files = {
        "flows/base.yaml": "flow: base\nabstract: true\nguard: {rejects: lots}\n",
        "flows/customers.yaml": FLOW + "like: base\n",
        "flows/other.yaml": FLOW.replace("customers", "other") + "like: base\n",
    }
    said = "flows/base.yaml:3:18: guard.rejects: expected a share such as 5% or 0.05, not 'lots'"
    assert told(tmp_path, files) == [said]


def test_an_abstract_flow_may_be_incomplete_but_not_wrong(tmp_path: Path):
    base = "flow: base\nabstract: true\ninto: {entity: company, fields: {name: {requird: true}, siret: {as: siret}}}\n"
    said = "flows/base.yaml:3:41: into.company.fields.name: unknown key 'requird'; did you mean 'required'?"
    assert told(tmp_path, {"flows/base.yaml": base}) == [said]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("like: frensh", "like: there is no flow 'frensh'; there is customers"),
        ("guard: {rejects: abc}", "guard.rejects: expected a share such as 5% or 0.05, not 'abc'"),
        ("guard: {rejects: 150%}", "guard.rejects: expected a share such as 5% or 0.05, 1.0 or less, not '150%'"),
        ("direction: inn", "direction: expected one of in, out or two-way, not 'inn'; did you mean 'in'?"),
        ("shedule: x", "unknown key 'shedule'; did you mean 'schedule'?"),
        ("read: {format: cvs}", "read.format: there is no 'cvs'; did you mean 'csv'?"),
        ("read: {format: {csv: {delimter: x}}}", "read.format.csv: unknown key 'delimter'; did you mean 'delimiter'?"),
        ("read: {format: {csv: {}, fec: {}}}", "read.format: a file has one format, not csv and fec"),
        ("read: {format: {csv: {header: {}}}}", "read.format.csv.header: expected true, false, the header's line (from 1) "
         "or a list of the names, not a mapping"),
        ("read: {expected_by: 6h}", "read.expected_by: expected a time such as \"06:00\", not '6h'"),
        ("after: custmers", "there is no flow 'custmers'; did you mean 'customers'?"),
        ("read: {records: {by: 1}}", "read.records: 'use' is missing"),
    ],
)
def test_mistakes_in_a_flow_are_told_in_plain_words(tmp_path: Path, line: str, said: str):
    problems = told(tmp_path, {"flows/customers.yaml": FLOW + line + "\n"})
    assert [problem.partition(": ")[2] for problem in problems] == [said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("system: sage", "system: sgae", "2:9: there is no system 'sgae'; did you mean 'sage'?"),
        ("entity: company", "entity: compani", "4:13: there is no entity 'compani'; did you mean 'company'?"),
        ("key: CODE", "kye: CODE", "5:5: into.company: unknown key 'kye'; did you mean 'key'?"),
        ("    key: CODE\n", "", "4:5: into.company: 'key' is missing"),
        ("{name: NOM}", "{nmae: NOM}", "6:14: there is no field of company 'nmae'; did you mean 'name'?"),
        ("{name: NOM}", "{name: true}", "6:20: into.company.fields.name: expected a column, or where the value comes from: "
         "{from: COLUMN}, not true"),
        ("{name: NOM}", "{name: {from NOM}}", "6:21: into.company.fields.name: unknown key 'from NOM'; write `from: NOM`, "
         "with a colon and a space"),
        ("{name: NOM}", "{name: {from: A, first: [B]}}", "6:14: into.company.fields.name: one source is enough: from and first"),
        ("{name: NOM}", "{name: {trim: false}}", "6:14: into.company.fields.name: where does the value come from? Write from, "
         "first, join, constant or compute"),
        ("{name: NOM}", "{name: {from: A, from_: B}}", "6:30: into.company.fields.name: unknown key 'from_'; did you mean 'from'?"),
        ("{name: NOM}", "{name: {from: A, case: uper}}", "6:36: into.company.fields.name.case: expected one of upper, lower or "
         "title, not 'uper'; did you mean 'upper'?"),
        ("{name: NOM}", '{name: {from: A, values: "@kinds"}}', "6:38: name.values: there is no code table 'kinds'; "
         "write mappings/codes/kinds.csv"),
        ("{name: NOM}", "{name: {from: A, values: kinds}}", "6:38: name.values: expected {raw: crm} lines, or a code table such "
         "as \"@kinds\""),
        ("{name: NOM}", "{parent: {from: A, refers: compny}}", "6:40: there is no entity 'compny'; did you mean 'company'?"),
        ("{name: NOM}", "{parent: {from: A, refers: {entity: company, in: sagee}}}", "6:62: there is no system 'sagee'; "
         "did you mean 'sage'?"),
        ("{name: NOM}", "{parent: {from: A, refers: {entity: company, by: sirt}}}", "6:62: there is no field of company 'sirt'; "
         "did you mean 'siret'?"),
        ("key: CODE", "key: CODE\n    when: {TYPE: {nto: [1]}}", "6:19: into.company.when.TYPE: unknown key 'nto'; did you mean 'not'?"),
        ("key: CODE", "key: CODE\n    match: [siret, [name, cp]]", "6:27: there is no field of company 'cp'; there is name, siret, "
         "postal_code, credit, parent, type, family and archived"),
        ("key: CODE", "key: CODE\n    defaults: {typ: customer}", "6:16: there is no field of company 'typ'; did you mean 'type'?"),
        ("key: CODE", "key: CODE\n    scope: {famly: x}", "6:13: there is no field of company 'famly'; did you mean 'family'?"),
        ("key: CODE", "key: CODE\n    owner: compny", "6:12: there is no entity 'compny'; did you mean 'company'?"),
        ("key: CODE", "key: CODE\n    on_match: updte", "6:15: into.company.on_match: expected one of update, keep or review, "
         "not 'updte'; did you mean 'update'?"),
    ],
)
def test_mistakes_in_an_into_are_told_where_they_stand(tmp_path: Path, old: str, new: str, said: str):
    assert told(tmp_path, {"flows/customers.yaml": FLOW.replace(old, new)}) == [f"flows/customers.yaml:{said}"]


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("{name: NOM}", "{name: {column: NOM}}", "unknown key 'column'; did you mean 'from'?"),
        ("{name: NOM}", "{name: {from: A, regex: x}}", "unknown key 'regex'; did you mean 'pattern'?"),
        ("key: CODE", "key: CODE\n    where: {A: 1}", "unknown key 'where'; did you mean 'when'?"),
        ("into:", "read: {format: {csv: {sep: x}}}\ninto:", "unknown key 'sep'; did you mean 'delimiter'?"),
        ("into:", "read: {format: xlsx}\ninto:", "there is no 'xlsx'; did you mean 'excel'?"),
    ],
)
def test_words_of_other_tools_are_understood(tmp_path: Path, old: str, new: str, meant: str):
    problems = told(tmp_path, {"flows/customers.yaml": FLOW.replace(old, new, 1)})
    assert any(problem.endswith(meant) for problem in problems), problems


def test_numbers_are_taken_where_text_is_meant(tmp_path: Path):
    text = FLOW.replace("key: CODE", "key: [1, 2]\n    when: {3: 0}") + "read: {records: {by: 1, use: 1}}\n"
    read = draft(tmp_path, {"flows/customers.yaml": text})
    assert read.problems == []
    flow = read.project.flows["customers"]
    assert flow.into[0].key == (1, 2)
    assert flow.into[0].when == {"3": (0,)}
    assert flow.read.records is not None
    assert flow.read.records.use == "1"
