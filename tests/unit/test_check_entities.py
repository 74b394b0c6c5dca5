"""`check` tells every mistake of an entity's file, and nothing that only follows from one."""

from __future__ import annotations

from pathlib import Path

from tests.check_desk import told

FAULTY = """\
entity: company
fields:
  kind: {type: chioce, values: [A, B]}
  boss: {type: link, to: compny}
  mother: company
  rank: {type: number, max: 4}
  total: {type: mony}
masters:
  kind: erp
  rank: {customer: erp, suplier: hr}
  archived: {system: erp, lok: true}
  total: sage
on_conflict: {kind: newst, boss: [hr]}
show: [kind, nme]
"""
FAULTY_CHILD = "entity: address\nfields: {company: {type: lnk}, role: {label: [x]}}\nmasters: {else: {system: hr, lok: true}}\n"
USING = """\
flow: customers
system: erp
read: {files: "CLI_{day:%Y%m%d}.csv", full: true}
into:
  - entity: company
    key: CODE
    match: [kind, [name, rank]]
    scope: {kind: [C]}
    defaults: {total: many}
    absent: archive
    fields:
      name: {from: NOM, scale: 1}
      kind: {from: KIND, values: {"1": A, "2": C}}
      boss: {from: BOSS, refers: company}
      mother: {from: MOTHER, refers: {entity: company, by: kind}}
      rank: {from: RANK, currency: EUR}
      total: {from: TOTAL, unit: kg}
      kin: KIN
    expect:
      - expect_column_values_to_be_in_set: {column: kind, value_set: [A]}
      - expect_column_values_to_match_regex: {column: total_currency, regex: E}
  - {entity: address, owner: {entity: company, role: 7}, key: CODE, fields: {street: RUE, since: RUE}}
"""
SENDING = """\
flow: sending
system: hr
direction: out
write: {files: "out_{number:d}.csv", when: {kind: [A], boss.name: [x], rnk: ["1"]}}
into: {entity: company, key: CODE, fields: {total: {from: TOTAL, unit: kg}, kind: KIND, boss: BOSS}}
"""


def test_mistakes_in_an_entity_neither_hide_others_nor_bring_more(tmp_path: Path):
    files = {"entities/company.yaml": FAULTY, "flows/customers.yaml": USING, "flows/sending.yaml": SENDING,
             "entities/address.yaml": FAULTY_CHILD}
    expected = [
        "entities/address.yaml:2:26: fields.company.type: expected one of text",
        "entities/address.yaml:2:46: fields.role.label: expected text, not a list",
        "entities/address.yaml:3:30: masters.else: unknown key 'lok'",
        "entities/company.yaml:3:16: fields.kind.type: expected one of text",
        "entities/company.yaml:4:26: boss.to: there is no entity 'compny'",
        "entities/company.yaml:5:11: fields.mother: expected a mapping",
        "entities/company.yaml:6:24: rank: `max` belongs to text, not to number",
        "entities/company.yaml:7:17: fields.total.type: expected one of text",
        "entities/company.yaml:10:25: masters.rank: company has no type 'suplier'",
        "entities/company.yaml:11:27: masters.archived: unknown key 'lok'",
        "entities/company.yaml:12:10: masters.total: there is no system 'sage'",
        "entities/company.yaml:13:21: on_conflict.kind: there is no policy or system 'newst'",
        "entities/company.yaml:13:34: on_conflict.boss: expected text, not a list",
        "entities/company.yaml:14:14: show: company has no field 'nme'",
        "flows/customers.yaml:12:25: name: `scale` means nothing to the codec text",
        "flows/customers.yaml:18:7: there is no field of company 'kin'",
        "flows/customers.yaml:22:91: there is no field of address 'since'",
        "flows/sending.yaml:4:72: write.when: company has no field 'rnk'",
    ]
    found = told(tmp_path, files)
    assert [line[: len(start)] for line, start in zip(found, [*expected, ""], strict=False)] == expected

