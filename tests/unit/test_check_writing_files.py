"""`check` of flows that write files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_desk import FLOW, told

OUT = """flow: out
system: erp
direction: out
write: {files: "OUT_{number:03d}.csv", reference: ID}
into: {entity: company, key: ID, fields: {name: NAME, city: CITY}}
"""


@pytest.mark.parametrize(("before", "after", "said"), [
    ("", "", []),
    ('files: "OUT_{number:03d}.csv", ', "",
     ["4:1: which files? erp is a folder: write write.files, such as out_{number:06d}.csv"]),
    ("_{number:03d}", "", ["4:16: write.files: files of changes need a number in their names, such as {number:06d}, or one "
                           "would take the place of another that was not read yet; or write full: true"]),
    ("_{number:03d}.csv\"", ".csv\", full: true", []),
    ("OUT_", "*", ["4:16: write.files: * fits many names; here each file gets one"]),
    ("OUT_", "OUT_{what}", ["4:16: write.files: {what} is not known; a part is a number ({number:06d}), a date ({day:%Y%m%d}) "
                            "or {kind}, which is full or changes"]),
    ("reference: ID", "reference: ID, mode: patch, archived: delete", [
        "4:55: write.mode is for systems that answer; a file has whole rows",
        "4:78: write.archived is for systems that answer; in a file map the field `archived` to a column, or archived "
        "records are left out"]),
    ("reference: ID", "reference: ID, format: fec", ["4:55: fec is only read; write csv, fixed, excel or jsonl"]),
    ("reference: ID", "reference: ID, format: excel", [
        "4:16: write.files: a workbook is written as xlsx, so its name ends with .xlsx"]),
    ("reference: ID", "reference: ID, format: {csv: {encoding: cp1253x}}", ["4:80: there is no encoding 'cp1253x'; did you mean 'cp1252'?"]),
    ("reference: ID", "reference: ID, columns: [ID, NAME, CITE]", [
        "5:61: there is no column 'CITY'; did you mean 'CITE'?"]),
    ("city: CITY", "city: NAME", ["5:61: two things are written to the column 'NAME'"]),
    ("reference: ID", "reference: ID, trailer: {by: ID, is: T, rows: TOTAL}", [
        "4:86: write.trailer: there is no column 'TOTAL'; there is ID, NAME and CITY"]),
    ("reference: ID", "reference: ID, trailer: {by: ID, is: T}", [
        "4:55: write.trailer: what does it tell? Write `rows`, or `sum`"]),
    ("city: CITY", "parent: GROUP", [
        "5:55: parent: no flow brings the keys by which erp knows company; refer `by` a field, or by our id: refers: "
        "{entity: company, by: id}"]),
    ("city: CITY", "parent: {from: GROUP, refers: {entity: company, by: id}}", []),
    ("OUT_{number:03d}", "M_{number:d}", [
        "4:16: customers would read these files back from the same folder; give the system a folder of its own for them "
        "(`outbound`)"]),
])
def test_a_flow_that_writes_files_is_judged(tmp_path: Path, before: str, after: str, said: list[str]):
    files = {"flows/out.yaml": OUT.replace(before, after, 1) if before else OUT}
    if "M_" in after:
        files["flows/customers.yaml"] = FLOW.replace("CLI_{company}_{day:%Y%m%d}.csv", "M_*.csv")
    if "parent: GROUP" in after:
        files["flows/customers.yaml"] = FLOW.replace("system: erp", "system: hr")
    told_of_it = [one.removeprefix("flows/out.yaml:") for one in told(tmp_path, files) if one.startswith("flows/out.yaml")]
    assert told_of_it == said
