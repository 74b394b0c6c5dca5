"""`check` tells every mistake that only meaning shows, where it stands and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.registry import settings_models
from mappings.check.project import check_project
from tests.check_desk import ADDRESS, FLOW, SYSTEMS, flow_told, lay, told


def test_a_sound_project_has_nothing_to_tell(tmp_path: Path):
    assert told(tmp_path, {}) == []


@pytest.mark.parametrize("folder", ["demo", "tests/real_exports/project"])
def test_the_projects_of_this_repository_have_no_mistakes(folder: str):
    root = Path(__file__).parents[2] / folder
    assert [str(problem) for problem in check_project(root, {}) if problem.severity == "error"] == []


# systems


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("{connector: fiel, folder: x}", "2:20: erp: there is no connector 'fiel'; did you mean 'file'?"),
        ("{connector: file}", "2:8: warning: erp: a file system needs `folder`, where its files are dropped; without it a"
                              " file is read only where --file names it"),
        ("{connector: file, folder: x, done: /tmp}", "2:43: erp.done: expected a folder below the drop folder, such as done"),
        ("{connector: file, folder: x, done: failed}", "2:8: erp: `done` and `failed` need a folder each"),
        ("{connector: file, folder: x, stable_for: 2}", "2:49: erp.stable_for: expected a time such as 2s, 500ms or 1m"),
    ],
)
def test_systems(tmp_path: Path, system: str, said: str):
    problems = told(tmp_path, {"systems.yaml": f"systems:\n  erp: {system}\n"})
    assert problems == [f"systems.yaml:{said}"]


# read, schedule


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("{}", "3:1: warning: which files? erp is a folder: write read.files, a pattern of their names; without it a file"
               " is read only where `navette run customers --file` names it"),
        ("{files: 'a{b.csv'}", "3:15: read.files: the { at character 2 has no partner"),
        ("{files: '{day:%Q}.csv'}", "3:15: read.files: {day:%Q}: %Q is not understood; a date is written as in %Y%m%d, a number as d"),
        ("{files: in/a.csv}", "3:15: read.files: a pattern is a file name, without folders; the folder stands with the system"),
        ("{files: 'a_{day:%Y%m%d}.csv', order: dya}", "3:44: read.order: no dated or numbered part 'dya'; did you mean 'day'?"),
        ("{files: 'a_{n}.csv', order: n}", "3:35: read.order: no dated or numbered part 'n'; the pattern has no date and no number"),
        ("{files: a.csv, every: day}", "3:22: read.every needs a date in the file's name, such as {day:%Y%m%d}"),
        ("{files: a.csv, timezone: Europe/Pari}", "3:32: read.timezone: there is no time zone 'Europe/Pari'; did you mean 'Europe/Paris'?"),
        ("{files: a.csv, stamp: MOD, stamp_format: dd/mm/yyyy}", "3:48: read.stamp_format: 'dd/mm/yyyy' is no date format: write strptime directives, as in '%d/%m/%Y'"),
        ("{files: a.csv, stamp: MOD, stamp_format: epoch}", "3:48: read.stamp_format: 'epoch' is no date format: write strptime directives, as in '%Y-%m-%d'"),
        ("{files: a.csv, version: REV, stamp_format: '%d/%m'}", "3:50: read.stamp_format: '%d/%m' does not tell the whole date: it needs day, month and year"),
        ("{files: a.csv, stamp_format: '%d/%m/%Y'}", "3:22: read.stamp_format needs `stamp`, the column it describes"),
        ("{files: a.csv, format: {csv: {encoding: cp1251x}}}", "3:47: there is no encoding 'cp1251x'; did you mean 'cp1252'?"),
        ("{files: a.csv, format: {csv: {encoding: rot13}}}", "3:47: there is no encoding 'rot13'; there is utf-8, cp1252, iso-8859-1, iso-8859-15, cp850, cp437, utf-16 and mac-roman"),
        ("{files: a.csv, format: {csv: {comment: ['#', '']}}}", "3:52: read.format.csv.comment: every line begins with an empty text"),
        ("{files: a.csv, format: {csv: {}}, records: {by: [1, 2], use: A}}", "3:55: read.records.by: [start, width] is for fixed width; name a column"),
        ("{files: a.csv, format: csv, records: {by: 1, use: A, columns: {CODE: [1, 2], NOM: [3, 4]}}}", "3:60: [start, width] is for fixed width; here, list the names"),
        ("{files: a.csv, trailer: {by: 1, is: T}}", "3:22: read.trailer: what does it tell? Write `rows`, or `sum`"),
        ("{files: a.xlsx, format: {excel: {range: A1-F2}}}", "3:47: read.format.excel.range: expected cells such as A1:F200, not 'A1-F2'"),
        ("{files: a.csv, format: fixed}", "3:22: fixed needs `columns`: name to [start, width]"),
        ("{files: a.csv, format: {fixed: {columns: {CODE: [1, 6], NOM: [5, 9]}}}}", "3:68: warning: NOM begins at 5, inside CODE (1 to 6)"),
        ("{files: a.csv, version: REV, format: {csv: {header: [CODE, NOM]}}}", "3:31: there is no column 'REV'; there is CODE and NOM"),
    ],
)
def test_read(tmp_path: Path, read: str, said: str):
    text = FLOW.replace('{files: "CLI_{company}_{day:%Y%m%d}.csv"}', read)
    problems = flow_told(tmp_path, text)
    assert said in problems
    assert len(problems) == 1 or "fixed needs" in said


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 6 * *", "8:11: schedule.changes: '0 6 * *' has 4 parts; a cron line has five: minute hour day month weekday, as in \"0 6 * * 1-5\""),
        ("{full: 0 25 * * *}", "8:18: schedule.full: '25' is no hour (0 to 23, ranges a-b, steps */n, lists a,b)"),
        ("{full: 0 0 31 2 *}", "8:18: schedule.full: '0 0 31 2 *' never comes: that day is in none of these months"),
        ("{timezone: Mars}", "8:22: schedule.timezone: there is no time zone 'Mars'; use an IANA name such as Europe/Paris"),
    ],
)
def test_schedule(tmp_path: Path, schedule: str, said: str):
    assert flow_told(tmp_path, FLOW + f"schedule: {schedule}\n") == [said]


# columns


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("{csv: {header: [CODE, NAME]}}", "7:20: there is no column 'NOM'; there is CODE and NAME"),
        ("{csv: {header: [CODE, NOMS]}}", "7:20: there is no column 'NOM'; did you mean 'NOMS'?"),
        ("{csv: {header: false}}", "7:20: 'NOM': the file has no header, so a column goes by its position from 1"),
        ("{fixed: {columns: {CODE: [1, 6], NON: [7, 9]}}}", "7:20: there is no column 'NOM'; did you mean 'NON'?"),
    ],
)
def test_columns_that_the_mapping_itself_denies(tmp_path: Path, read: str, said: str):
    text = FLOW.replace("read: {", f"read: {{format: {read}, ")
    assert said in flow_told(tmp_path, text)


def test_a_position_beyond_the_columns(tmp_path: Path):
    text = FLOW.replace("read: {", "read: {format: {csv: {header: [CODE, NOM]}}, ").replace("{name: NOM}", "{name: 3}")
    assert flow_told(tmp_path, text) == ["7:20: there is no column 3; there are 2"]


def test_a_variable_has_to_be_a_part_of_the_name(tmp_path: Path):
    text = FLOW.replace("key: CODE", "key: [$compny, CODE]")
    assert flow_told(tmp_path, text) == ["6:11: $compny: the file's name has no part 'compny'; did you mean 'company'?"]
    text = text.replace("CLI_{company}_{day:%Y%m%d}", "CLI")
    assert flow_told(tmp_path, text) == ["6:11: $compny: the file's name has no part 'compny'; write {compny} into read.files"]


# intos


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("key: [CODE, CODE]", "6:10: key names CODE twice"),
        ("key: []", "6:10: key: expected at least one column"),
        ("when: {T: {matches: '('}}", "6:25: when.T: '(' is no regular expression: missing ), unterminated subpattern at character 1"),
        ("when: {T: [' 1']}", "6:16: when.T: cells are trimmed, so ' 1' is never met; write '1'"),
        ("when: {T: []}", "6:15: when.T: expected at least one value"),
        ("whole: true", "6:5: whole: whose children? It needs `owner`"),
        ("match: [siret]", "6:13: match of company: siret is not among its fields, so this rule finds nothing"),
        ("match: [name, siret]", "6:19: warning: match of company: siret is not among its fields, so this rule finds nothing"),
        ("match: [{on: name, agree: city}]", "6:31: warning: match of company: city is not among its fields, so this rule finds nothing"),
        ("scope: {family: frnce}", "6:21: scope: family: 'frnce' is not one of france, export; did you mean 'france'?"),
        ("defaults: {type: custmer}", "6:22: defaults: type: 'custmer' is not one of prospect, customer, supplier; did you mean 'customer'?"),
        ("defaults: {employees: many}", "6:27: defaults: employees: 'many' is not a whole number"),
        ("defaults: {since: 22/11/2026}", "6:23: defaults: since: '22/11/2026' is not a date of the form YYYY-MM-DD"),
        ("defaults: {parent: 3}", "6:24: defaults: parent is a link; map it instead"),
        ("absent: archive", "6:13: warning: absent: archive, but erp does not master company.archived: what is absent is only unlinked"),
        ("expect: [{expect_column_values_to_be_unqiue: {column: name}}]", "6:15: expect: there is no expectation 'expect_column_values_to_be_unqiue'; did you mean 'expect_column_values_to_be_unique'?"),
        ("expect: [{expect_column_values_to_be_in_set: {column: name}}]", "6:15: expect: expect_column_values_to_be_in_set needs 'value_set'"),
        ("each: lines", "6:5: each takes nested lists apart, which only jsonl has"),
        ("key: [^A]", "6:11: ^A: ^ reaches the parent of `each`, which is not given"),
    ],
)
def test_intos(tmp_path: Path, line: str, said: str):
    key = "" if line.startswith("key") else "    key: CODE\n"
    text = FLOW.replace("    key: CODE\n", f"    {line}\n{key}").replace("read: {", "read: {format: csv, ")
    if line.startswith("absent"):
        text = text.replace("read: {", "read: {full: true, ")
    assert flow_told(tmp_path, text) == [said]


def test_absence_only_acts_in_a_full_read(tmp_path: Path):
    text = FLOW.replace("    key", "    absent: unlink\n    key")
    assert flow_told(tmp_path, text) == ["6:5: warning: company: absent: unlink only acts in a full read; write read.full: true"]
    assert flow_told(tmp_path, text + "schedule: {full: 0 2 * * *}\n") == []


SQL_SYSTEMS = """systems:
  hr:
    connector: sql
    url: postgresql://navette@db.example/hr
    archived: {people: {column: left}}
"""
SQL_FLOW = """flow: people
system: hr
read: {resource: staff}
into: {entity: company, key: id, absent: unlink, fields: {name: name}}
"""


@pytest.mark.parametrize(("read", "said"), [
    ("resource: staff", []),
    ("resource: staff, changed_since: at", [
        "4:34: warning: company: absent: unlink only acts in a full read; write read.full: true"]),
    ('full: true, query: "SELECT * FROM staff"', []),
    ('changed_since: at, query: "SELECT * FROM staff"', [
        "4:34: warning: company: absent: unlink only acts in a full read; write read.full: true"]),
    ('query: "SELECT * FROM staff"', [
        "3:8: warning: read.query: nothing tells what changed since the last read, so only the first one succeeds; write "
        "read.changed_since, its column with the time of change, or read.full: true",
        "4:34: warning: company: absent: unlink only acts in a full read; write read.full: true"]),
])
def test_what_a_database_tells_of_changes_and_of_deletes_is_judged(tmp_path: Path, read: str, said: list[str]):
    assert people_told(tmp_path, SQL_FLOW.replace("resource: staff", read)) == said


def test_where_records_are_to_be_archived_the_system_says_how(tmp_path: Path):
    text = SQL_FLOW.replace("into:", "direction: two-way\nwrite: {archived: archive}\ninto:")
    assert people_told(tmp_path, text) == [
        "5:19: write.archived: archive, and nothing tells how staff marks a row as archived; name the column and its cell "
        "in systems.hr.archived.staff"]
    assert people_told(tmp_path, text.replace("staff", "people")) == []
    assert people_told(tmp_path, text.replace("{name: name}", "{name: name, archived: gone}")) == []


def people_told(root: Path, text: str) -> list[str]:
    lay(root, {"systems.yaml": SQL_SYSTEMS, "flows/people.yaml": text})
    (root / "mappings/flows/customers.yaml").unlink()
    problems = check_project(root, {}, connectors=settings_models(), builtin=root / "mappings/b")
    return [str(problem).removeprefix("mappings/flows/people.yaml:") for problem in problems]


def test_what_a_new_record_needs_has_to_come_from_somewhere(tmp_path: Path):
    text = FLOW.replace("{name: NOM}", "{city: VILLE}")
    said = "5:5: company: a new company needs name: map it, give it under `defaults`, or write create: false"
    assert flow_told(tmp_path, text) == [said]
    assert flow_told(tmp_path, text.replace("key", "create: false\n    key")) == []
    assert flow_told(tmp_path, text.replace("key", "defaults: {name: unknown}\n    key")) == []


def test_two_intos_need_two_names(tmp_path: Path):
    text = FLOW + "  - {entity: company, key: CODE, fields: {name: NOM}}\n"
    assert flow_told(tmp_path, text) == ["8:5: a second into is called company; give it a `name`"]


OWNED = FLOW + "  - entity: address\n    owner: {entity: company, role: billing}\n    key: CODE\n    fields: {street: RUE}\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("role: billing", "role: biling", "9:36: owner: role: 'biling' is not one of billing, delivery; did you mean 'billing'?"),
        ("role: billing", "field: street", "9:37: owner: street is no link to company; there is company and billed"),
        ("role: billing", "into: compny", "9:36: owner: no into above that fills company is called 'compny'; did you mean 'company'?"),
        ("{street: RUE}", "{company: {from: C, refers: company}}", "11:14: company is set by `owner`; it cannot be mapped too"),
    ],
)
def test_owners(tmp_path: Path, old: str, new: str, said: str):
    assert flow_told(tmp_path, OWNED) == []
    assert flow_told(tmp_path, OWNED.replace(old, new)) == [said]


def test_the_owner_stands_above_its_children(tmp_path: Path):
    text = OWNED.replace("  - entity: company", "  - entity: address\n    name: first\n    owner: company\n    key: CODE\n  - entity: company", 1)
    said = "7:12: owner: no into above fills company; the owner comes from the same row, so it stands first"
    assert flow_told(tmp_path, text) == [said]


def test_one_of_several_owners_has_to_be_named(tmp_path: Path):
    second = "  - {entity: company, name: other, key: C2, fields: {name: N2}}\n  - entity: address"
    text = OWNED.replace("  - entity: address", second)
    assert flow_told(tmp_path, text) == ["10:12: owner: company and other fill company; say which with `into`"]


def test_the_owner_link_has_to_be_on_the_child(tmp_path: Path):
    address = ADDRESS.replace("  company: {type: link, to: company}\n", "")
    assert told(tmp_path, {"flows/customers.yaml": OWNED, "b/address.yaml": address}) == [
        "flows/customers.yaml:9:12: owner: address has no link called company to company; say which: {entity: company, field: billed}"
    ]


# fields


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("city: {from: A, as: siert}", "8:27: city: there is no codec 'siert'; did you mean 'siret'?"),
        ("employees: {from: A, as: date}", "8:32: employees: the codec gives a date value, which a field of type number cannot hold"),
        ("city: {from: A, format: '%Y'}", "8:23: city: `format` means nothing to the codec text; it belongs to date and datetime"),
        ("employees: {from: A, timezone: Europe/Paris}", "8:28: employees: `timezone` means nothing to the codec integer; it belongs to datetime"),
        ("city: {from: A, currency: EUR}", "8:23: city: `currency` belongs to money fields, not to text"),
        ("credit: A", "8:7: credit: an amount needs its currency: currency: EUR, or currency: {from: COLUMN}"),
        ("credit: {from: A, currency: EURO1}", "8:35: credit: 'EURO1' is no currency (three letters, ISO 4217)"),
        ("credit: {from: A, currency: {blank: EUX}}", "8:43: credit: 'EUX' is no currency (three letters, ISO 4217)"),
        ("area: {from: A, as: duration, unit: km}", "8:43: area: a duration is counted in a unit for all rows: d, j, h, min, mn or s"),
        ("area: {from: A, as: duration, unit: {from: U}}", "8:43: area: a duration is counted in a unit for all rows: d, j, h, min, mn or s"),
        ("credit: {from: A, currency: {}}", "8:35: credit: currency: which? EUR, or {from: COLUMN}"),
        ("city: {from: A, as: postal_code, region: Frnce}", "8:48: city: 'Frnce' is no country; two letters such as FR"),
        ("city: {from: A, pattern: '['}", "8:32: city: '[' is no regular expression: unterminated character set at character 1"),
        ("city: {from: A, extract: ''}", "8:32: city: an empty regular expression says nothing; write one, or leave the key out"),
        ("city: {from: ''}", "8:20: no column is named here; name one, by its header or its position from 1"),
        ("city: {from: A, extract: '(x'}", "8:32: city: '(x' is no regular expression: missing ), unterminated subpattern at character 1"),
        ("city: {from: A, replace: {'': x}}", "8:32: city: replace: what is replaced cannot be empty"),
        ("city: {from: A, max: 0}", "8:28: into.company.fields.city.max: expected a whole number, 1 or more, not 0"),
        ("city: {from: A, cut: true}", "8:23: city: cut at which length? Write `max`"),
        ("city: {from: A, split: ','}", "8:23: city holds one value, and split gives several; say which with `part`"),
        ("city: {from: A, part: 1}", "8:23: city: part of what? Write `split`, the separator"),
        ("city: {from: A, split: '/', part: 0}", "8:41: city: parts count from 1; -1 is the last"),
        ("city: {from: A, many: true}", "8:23: city: many belongs to links; city is text"),
        ("seen: {from: A, timezone: Paris}", "8:33: seen: there is no time zone 'Paris'; did you mean 'Europe/Paris'?"),
        ("since: {from: A, format: DD/MM/YYYY}", "8:32: since: 'DD/MM/YYYY' is no date format: write strptime directives, as in '%d/%m/%Y'"),
        ("since: {from: A, out: {to: A, format: DD/MM/YYYY}}", "8:45: since.out: 'DD/MM/YYYY' is no date format: write strptime directives, as in '%d/%m/%Y'"),
        ("since: {from: A, format: '%d/%m'}", "8:32: since: '%d/%m' does not tell the whole date: it needs day, month and year"),
        ("employees: {constant: many}", "8:29: employees: 'many' is not a whole number (constant)"),
        ("employees: {from: A, blank: none}", "8:35: employees: 'none' is not a whole number (blank)"),
        ("grade: {from: A, default: C}", "8:33: grade: 'C' is not one of A, B (default)"),
        ("grade: {from: A, values: {1: A, 2: C}}", "8:42: grade: 'C' is not one of A, B"),
        ("tags: {from: A, values: {1: [x, y]}}", "8:35: tags: expected one value, not a list"),
        ("grade: {from: A, invalid: as_is}", "8:24: grade: a field of type choice cannot keep a text that it refuses; leave `invalid: as_is` out"),
        ("employees: {from: A, invalid: as_is}", "8:28: employees: a field of type number cannot keep a text that it refuses; leave `invalid: as_is` out"),
        ("city: {constant: Lyon, values: {1: a}}", "8:30: city: `values` means nothing to a constant, which is a value of the field already"),
        ("city: {compute: A + B, extract: a}", "8:30: city: `extract` means nothing to a formula, which is a value of the field already"),
        ("credit: {from: A, currency: ''}", "8:35: credit: currency: which? EUR, or {from: COLUMN}"),
        ("credit: {from: A, default: 5, currency: {from: B}}", "8:25: credit: a default needs its currency too: currency: {from: COLUMN, blank: EUR}"),
        ("parent: {from: A, default: k}", "8:25: parent: a link has no default; `blank` tells which record an empty cell means"),
        ("parent: {constant: [k]}", "8:26: parent: expected one value, not a list (constant)"),
        ("grade: {from: A, values: '@grades'}", "8:32: code table @grades: grade: 'D' is not one of A, B"),
        ("grade: {from: A, else: blank}", "8:24: grade: `else` tells what a code outside `values` means, and there are no `values`"),
        ("employees: {compute: 'A +* B'}", "8:19: into.company.fields.employees.compute: the formula 'A +* B': it cannot be read from '* B' on"),
        ("employees: {compute: 'open(A)'}", "8:19: into.company.fields.employees.compute: the formula 'open(A)': 'open(A)' is not allowed in it"),
        ("employees: {compute: 'A + B', as: integer}", "8:37: employees: a formula takes no codec; it is a value of the field already"),
        ("parent: {from: A, case: upper}", "8:25: parent: `case` means nothing to a link; it belongs to text"),
        ("city: {from: A, refers: company}", "8:23: city: `refers` belongs to links, and city is text"),
        ("parent: {from: A, refers: address}", "8:33: parent leads to company, not to address"),
        ("parent: {from: A, refers: {entity: company, by: siret, ids: x}}", "8:62: parent: `by` looks in the CRM and `ids` in a system's ids; one of them is enough"),
        ("parent: {from: A, refers: {entity: company, by: credit}}", "8:55: parent: a money cannot be looked up by; choose a field with a value of its own"),
        ("partners: {from: A, refers: {entity: company, by: employees}}", "8:57: partners: several records are looked up by a text, and employees is number"),
        ("parent: {from: A, as: text, refers: {entity: company, by: employees}}", "8:29: parent: the codec gives a text value, which a field of type number cannot hold"),
        ("parent: {from: A, region: FR, refers: {entity: company, by: siret}}", "8:25: parent: `region` means nothing to the codec siret; it belongs to vat, phone and postal_code"),
        ("parent: {from: A, refers: {entity: company, by: vip}}", "8:55: parent: a boolean cannot be looked up by; choose a field with a value of its own"),
        ("parent: {from: A, refers: {entity: company, ids: custmers}}", "8:33: parent: no flow of erp fills company in the id space 'custmers'; did you mean 'customers'?"),
        ("parent: {from: A, refers: {entity: company, in: hr}}", "8:33: parent: no flow of hr fills company, so this would wait for ever; erp does: refers: {entity: company, in: erp}"),
        ("parent: {join: {columns: [A, B]}}", "8:7: parent: company is known there by CODE, and this gives 2; one column is enough"),
    ],
)
def test_fields(tmp_path: Path, line: str, said: str):
    text = FLOW.replace("    fields: {name: NOM}\n", f"    fields:\n      {line}\n      name: NOM\n")
    problems = told(tmp_path, {"flows/customers.yaml": text, "codes/grades.csv": "raw,crm\n1,A\n2,D\n"})
    assert problems == [f"flows/customers.yaml:{said}"]


@pytest.mark.parametrize(
    ("written", "empty", "said"),
    [
        ("{name: NOM}", "{name: {constant: }}", "7:14: into.company.fields.name: where does the value come from? Write from, first, join, constant or compute"),
        ("{name: NOM}", "{name: {compute: null}}", "7:14: into.company.fields.name: where does the value come from? Write from, first, join, constant or compute"),
        ("{name: NOM}", "{name: {first: []}}", "7:14: into.company.fields.name: where does the value come from? Write from, first, join, constant or compute"),
        ("{name: NOM}", "{name: {join: {columns: []}}}", "7:14: into.company.fields.name: where does the value come from? Write from, first, join, constant or compute"),
        ("{name: NOM}", "{name: {from: NOM, values: {}}}", "7:40: name: values: which codes?"),
        ("{name: NOM}", "{name: NOM}\n    when: {A: {matches: }}", "8:16: into.company.when.A.matches: nothing is written here: expected text"),
        ("{name: NOM}", "{name: NOM}\n    defaults: {city: }", "8:16: defaults: city: which value?"),
        ("{name: NOM}", "{name: NOM}\n    scope: {family: []}", "8:21: scope.family: expected at least one value"),
        ("key: CODE", "key:", "6:5: into.company.key: nothing is written here: expected a column, a list of columns, or {from: COLUMN, assigned: remote}"),
        ("{name: NOM}", "{name: }", "7:14: into.company.fields.name: nothing is written here: expected a column, or where the value comes from: {from: COLUMN}"),
        ("{name: NOM}", "{name: {from: }}", "7:14: into.company.fields.name: where does the value come from? Write from, first, join, constant or compute"),
    ],
)
def test_what_is_left_empty_is_told_as_such(tmp_path: Path, written: str, empty: str, said: str):
    assert flow_told(tmp_path, FLOW.replace(written, empty)) == [said]


GOOD_FIELDS = """\
      credit: {from: A, currency: {from: B, blank: EUR}, decimal: ",", scale: 2}
      area: {compute: "round(A * `B c`, 1)", unit: m2}
      since: {from: A, format: ["%d/%m/%Y", "%Y%m%d", excel]}
      seen: {from: A, timezone: Europe/Paris}
      vip: {from: A, true: [O], false: [N], default: false}
      grade: {from: A, values: {1: A, 2: B}, else: blank}
      tags: {from: A, split: ","}
      siret: {from: A, invalid: as_is}
      parent: {from: A, refers: company}
      partners: {from: A, split: ",", refers: {entity: company, by: siret}}
      city: {from: A, split: "/", part: -1, case: upper, max: 30, cut: true, extract: "(.*) CEDEX", blank: keep}
      employees: {constant: 3}
      type: {from: A, values: {c: customer}}
      archived: {from: A, as: boolean}
"""


def test_fields_that_are_fine(tmp_path: Path):
    text = FLOW.replace("    fields: {name: NOM}\n", f"    fields:\n{GOOD_FIELDS}      name: NOM\n")
    assert flow_told(tmp_path, text) == []


@pytest.mark.parametrize("line", ['format: "%d/%m/%Y", refers: {entity: company, by: since}',
                                  "collapse: true, values: {1: Dupont}, else: raw, refers: {entity: company, by: name}",
                                  "invalid: as_is, refers: {entity: company, by: siret}"])
def test_a_link_by_a_field_takes_what_that_field_takes(tmp_path: Path, line: str):
    assert flow_told(tmp_path, FLOW.replace("{name: NOM}", f"{{name: NOM, parent: {{from: A, {line}}}}}")) == []


# the whole


def test_folders_that_nobody_reads_are_told(tmp_path: Path):
    (tmp_path / "mappings" / "flow").mkdir(parents=True)
    assert told(tmp_path, {"systems.yml": SYSTEMS}) == [
        "flow:1:1: warning: this folder is not read; did you mean mappings/flows?",
        "systems.yml:1:1: warning: this file is not read; did you mean mappings/systems.yaml?",
    ]


def test_what_cannot_be_read_does_not_keep_the_rest_from_being_judged(tmp_path: Path):
    files = {
        "flows/broken.yaml": "flow: broken\n\tx",
        "flows/wrong.yaml": FLOW.replace("customers", "wrong").replace("key: CODE", "kye: CODE"),
        "flows/customers.yaml": FLOW + "schedule: often\n",
    }
    named = [problem.partition(":")[0] for problem in told(tmp_path, files)]
    assert named == ["flows/broken.yaml", "flows/customers.yaml", "flows/wrong.yaml"]
