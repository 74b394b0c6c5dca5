"""A project is read as a whole: overlays, built-in entities, code tables, and every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import ConfigurationError
from mappings.language.project import Mastery, dump, load_project, require_project
from tests.language_desk import FLOW, SYSTEMS, draft, lay, told


def test_a_sound_project_has_no_problems(tmp_path: Path):
    read = draft(tmp_path, {})
    assert read.problems == []
    assert list(read.project.flows) == ["customers"]
    assert read.project.flows["customers"].into[0].fields["name"].from_ == "NOM"
    assert read.project.systems["sage"].folder == "drop"


# systems


def test_an_overlay_is_laid_over_the_systems(tmp_path: Path):
    files = {"systems.prod.yaml": "systems:\n  sage: {folder: /srv/sage}\n"}
    systems = draft(tmp_path, files, {"NAVETTE_ENV": "prod"}).project.systems
    assert (systems["sage"].folder, systems["sage"].connector, systems["cmms"].folder) == ("/srv/sage", "file", "cmms")


def test_an_overlay_that_is_not_there_is_told_with_the_nearest(tmp_path: Path):
    files = {"systems.prod.yaml": SYSTEMS}
    said = "systems.yaml:1:1: NAVETTE_ENV is 'prd', but there is no systems.prd.yaml; did you mean 'prod'?"
    assert told(tmp_path, files, {"NAVETTE_ENV": "prd"}) == [said]


def test_variables_come_from_the_environment_or_their_default(tmp_path: Path):
    files = {"systems.yaml": 'systems: {sage: {connector: file, folder: "${DIR:-drop}/${SUB}", label: "$${X}"}}'}
    sage = draft(tmp_path, files, {"SUB": "in"}).project.systems["sage"]
    assert (sage.folder, sage.label) == ("drop/in", "${X}")


def test_a_variable_that_is_not_set_is_named_with_its_place(tmp_path: Path):
    files = {"systems.yaml": "systems:\n  sage:\n    connector: file\n    folder: ${SAGE_DIR}\n"}
    said = "the environment variable SAGE_DIR is not set; set it, or give a default: ${SAGE_DIR:-…}"
    assert told(tmp_path, files) == [f"systems.yaml:4:13: {said}"]


def test_what_came_from_the_environment_is_never_shown(tmp_path: Path):
    text = 'systems: {sage: {connector: file, folder: x, stable_for: "${S}", options: "${S}"}}'
    read = draft(tmp_path, {"systems.yaml": text}, {"S": "s3cr3t-word"})
    assert read.problems
    assert "s3cr3t" not in repr(read.problems)
    assert "s3cr3t" not in repr(read.project)


def test_a_typo_in_a_system_is_told_with_the_word_that_was_meant(tmp_path: Path):
    files = {"systems.yaml": "systems:\n  sage: {connector: file, foldr: x}\n"}
    assert told(tmp_path, files) == ["systems.yaml:2:27: sage: unknown key 'foldr'; did you mean 'folder'?"]


@pytest.mark.parametrize("name", ["crm", "shared", "else", "Sage", "a b", "9x"])
def test_a_system_needs_a_plain_name_of_its_own(tmp_path: Path, name: str):
    files = {"systems.yaml": f"systems: {{sage: {{connector: file}}, '{name}': {{connector: file}}}}"}
    assert [line for line in told(tmp_path, files) if f"{name!r} cannot name a system" in line]


# entities


def test_a_project_adds_fields_and_masters_to_a_built_in_entity(tmp_path: Path):
    own = """\
entity: company
fields:
  segment: {type: choice, values: [A, B]}
  name: {max: 80}
masters:
  siret: {system: [sage, cmms], lock: false}
  segment: {customer: sage, else: shared}
  postal_code: {customer: cmms}
  archived: sage
  else: shared
on_conflict: {name: newest, else: crm}
"""
    read = draft(tmp_path, {"entities/company.yaml": own})
    assert read.problems == []
    company = read.project.entities["company"]
    assert list(company.fields) == ["name", "siret", "postal_code", "credit", "parent", "segment"]
    assert company.fields["name"].required
    assert company.fields["name"].max == 80
    assert company.masters["siret"] == {"else": Mastery("systems", ("sage", "cmms"), lock=False)}
    assert company.masters["segment"] == {"customer": Mastery("systems", ("sage",)), "else": Mastery("shared")}
    assert company.masters["postal_code"] == {"customer": Mastery("systems", ("cmms",)), "else": Mastery("shared")}
    assert company.masters["name"] == {"else": Mastery("crm")}
    assert company.masters["archived"] == {"else": Mastery("systems", ("sage",))}
    assert company.masters["type"] == {"else": Mastery("shared")}
    assert company.on_conflict == {name: "newest" if name == "name" else "crm" for name in company.names}
    assert company.show == ("name",)


def test_without_masters_fields_are_shared_and_people_settle_conflicts(tmp_path: Path):
    company = draft(tmp_path, {}).project.entities["company"]
    assert set(company.masters) == set(company.on_conflict) == set(company.names)
    assert company.masters["name"] == {"else": Mastery("crm")}
    assert all(rule == {"else": Mastery("shared")} for name, rule in company.masters.items() if name != "name")
    assert set(company.on_conflict.values()) == {"review"}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("fields: {siret: {type: number}}", "2:24: siret: the built-in field has type text; that stays. Add a field of your own"),
        ("fields: {parent: {to: other}}", "2:23: parent: the built-in field has to company; that stays. Add a field of your own"),
        ("fields: {kind: {type: choice}}", "2:10: kind: a choice needs `values`"),
        ("fields: {kind: {values: [a]}}", "2:17: kind: `values` belongs to choice and choices, not to text"),
        ("fields: {boss: {type: link}}", "2:10: boss: a link needs `to`, the entity it leads to"),
        ("fields: {boss: {type: link, to: compny}}", "2:33: boss.to: there is no entity 'compny'; did you mean 'company'?"),
        ("fields: {kind: {type: chioce}}", "2:23: fields.kind.type: expected one of text, long_text, number, decimal, money, "
         "quantity, date, datetime, boolean, choice, choices, link … (3 more), not 'chioce'; did you mean 'choice'?"),
        ("fields: {type: {}}", "2:10: type: every record has this already; choose another name"),
        ("fields: {Größe: {}}", "2:10: 'Größe': a field's name is a-z, 0-9 and _, at most 40, and begins with a letter"),
        ("fields: {credit_currency: {}}", "2:10: credit_currency: its column credit_currency is also that of credit"),
        ("fields: {n: {type: number, scale: 2}}", "2:28: n: `scale` belongs to decimal, money and quantity"),
        ("fields: {n: {type: decimal, scale: 40}}", "2:36: fields.n.scale: expected a whole number, 12 or less, not 40"),
        ("fields: {n: {type: date, max: 4}}", "2:26: n: `max` belongs to text, not to date"),
        ("show: nme", "2:7: show: company has no field 'nme'; did you mean 'name'?"),
        ("masters: {nme: sage}", "2:11: masters: company has no field 'nme'; did you mean 'name'?"),
        ("masters: {name: saeg}", "2:17: masters.name: there is no system 'saeg'; did you mean 'sage'?"),
        ("masters: {name: [sage, crm]}", "2:24: masters.name: crm stands alone; a ranked list names systems only"),
        ("masters: {name: {custmer: sage}}", "2:18: masters.name: company has no type 'custmer'; did you mean 'customer'?"),
        ("masters: {name: {system: sage, lok: true}}", "2:32: masters.name: unknown key 'lok'; did you mean 'lock'?"),
        ("on_conflict: {name: newst}", "2:21: on_conflict.name: there is no policy or system 'newst'; did you mean 'newest'?"),
        ("types: [a, a]", "2:8: types: each value once, none empty, and none called else"),
    ],
)
def test_mistakes_in_an_entity_are_told_where_they_stand(tmp_path: Path, own: str, said: str):
    assert f"entities/company.yaml:{said}" in told(tmp_path, {"entities/company.yaml": f"entity: company\n{own}\n"})


def test_an_entity_of_ones_own_stands_beside_the_built_in_ones(tmp_path: Path):
    own = "entity: lift\nfields: {number: {}, site: {type: link, to: company}}\n"
    read = draft(tmp_path, {"entities/lift.yaml": own})
    assert read.problems == []
    assert read.project.entities["lift"].label == "Lift"
    assert read.project.entities["lift"].show == ("number",)


def test_the_same_entity_in_two_files_is_refused(tmp_path: Path):
    own = "entity: lift\nfields: {number: {}}\n"
    problems = told(tmp_path, {"entities/a.yaml": own, "entities/b.yaml": own})
    assert problems == ["entities/b.yaml:1:9: the entity 'lift' is declared in mappings/entities/a.yaml already"]


# code tables


@pytest.mark.parametrize("text", ["raw,crm\n01,a\n 2 , b \n\n", "raw;crm\r\n01;a\r\n2;b", "\ufeffraw,crm\n01,a\n2,b\n01,a\n"])
def test_code_tables_keep_codes_as_text(tmp_path: Path, text: str):
    read = draft(tmp_path, {"codes/kinds.csv": text})
    assert read.problems == []
    assert read.project.codes == {"kinds": {"01": "a", "2": "b"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,value\n", "1:1: the first line must be: raw,crm"),
        ("", "1:1: the first line must be: raw,crm"),
        ("raw,crm\n1,a\n1,b\n", "3:1: the code '1' means 'b' here and 'a' on line 2"),
        ("raw,crm\n1,a,b\n", "2:1: expected two cells, raw and crm, not 3"),
        ('raw,crm\n1,"a\n', "2:1: not a CSV file: unexpected end of data"),
    ],
)
def test_mistakes_in_a_code_table_are_told_with_their_line(tmp_path: Path, text: str, said: str):
    assert told(tmp_path, {"codes/kinds.csv": text}) == [f"codes/kinds.csv:{said}"]


# the whole


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path):
    files = {
        "systems.yaml": "systems: {sage: {connector: file, foldr: x}}",
        "entities/company.yaml": "entity: company\nmasters: {nme: sage}\n",
        "flows/broken.yaml": "flow: broken\n\tx",
        "flows/customers.yaml": FLOW.replace("NOM", "{from: A, requird: true}"),
        "codes/kinds.csv": "x",
    }
    assert [line.split(":")[0] for line in told(tmp_path, files)] == [
        "codes/kinds.csv", "entities/company.yaml", "flows/broken.yaml", "flows/customers.yaml", "systems.yaml",
    ]


def test_a_project_with_mistakes_is_not_loaded(tmp_path: Path):
    lay(tmp_path, {"flows/customers.yaml": FLOW.replace("sage", "sgae")})
    project, problems = load_project(tmp_path, {})
    assert project is None
    with pytest.raises(ConfigurationError) as caught:
        require_project(tmp_path, {})
    assert caught.value.exit_code == 1
    assert caught.value.problems == tuple(problems)
    assert "did you mean 'sage'?" in str(caught.value)


def test_a_formula_that_cannot_be_read_is_told_where_it_stands_whatever_the_command(tmp_path: Path):
    lay(tmp_path, {"flows/customers.yaml": FLOW.replace("name: NOM", "name: NOM, capital: {compute: 'A +* B'}"),
                   "systems.yaml": SYSTEMS})
    with pytest.raises(ConfigurationError, match=r"customers.yaml:\d+:\d+: \S*capital.compute: the formula 'A \+\* B'"):
        require_project(tmp_path, {})


def test_a_folder_without_mappings_is_told_what_to_do(tmp_path: Path):
    _, problems = load_project(tmp_path, {})
    assert "`navette init DIR` writes a first project" in problems[0].message


words = st.sampled_from(["flow", "system", "sage", "into", "entity", "company", "key", "fields", "name", "from", "when", "not",
                         "read", "format", "csv", "header", "guard", "rejects", "like", "match", "refers", "values", "5%"])
anything = st.recursive(
    words | st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(words, anything), st.dictionaries(words, anything), st.dictionaries(words, anything))
@settings(max_examples=60, deadline=None)
def test_no_values_make_a_traceback(tmp_path_factory, flow, entity, systems):
    root = tmp_path_factory.mktemp("project")
    read = draft(root, {
        "flows/a.yaml": dump({"flow": "a", **flow}),
        "entities/company.yaml": dump({"entity": "company", **entity}),
        "systems.yaml": dump({"systems": systems}),
    })
    for problem in read.problems:
        assert problem.line >= 1
        assert problem.message
