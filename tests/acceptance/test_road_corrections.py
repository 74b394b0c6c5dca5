"""Corrected exports: each row closes the very held rows that it came from, whatever was corrected of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import python_calamine
import xlsxwriter

from pipelines.ops.export import export_held
from pipelines.ops.rejects import open_rows
from pipelines.runs.intake import run_flow
from pipelines.runs.replay import replay
from pipelines.runs.settling import settle_run
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

FIELDS = '{name: {from: NAME, required: true}, siren: {from: SIREN}}'
FLOWS = {
    "plain": f"""
flow: plain
system: erp
read: {{files: "PLAIN_{{day:%Y%m%d}}.csv", full: true}}
into: {{entity: company, key: CODE, absent: archive, fields: {FIELDS}}}
guard: {{rejects: 60%}}
""",
    "bare": f"""
flow: bare
system: erp
read: {{format: {{csv: {{header: [CODE, NAME, SIREN]}}}}}}
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
    "unquoted": f"""
flow: unquoted
system: erp
read: {{format: {{csv: {{delimiter: "|", quote: null}}}}}}
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
    "fixed": f"""
flow: fixed
system: erp
read: {{format: {{fixed: {{encoding: utf-8, columns: {{CODE: [1, 4], NAME: [5, 10], SIREN: [15, 9]}}}}}}}}
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
    "lines": f"""
flow: lines
system: erp
read: {{format: jsonl}}
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
    "both": f"""
flow: both
system: erp
into:
  - {{entity: company, key: CODE, fields: {FIELDS}}}
  - {{entity: contact, owner: company, key: [CODE, WHO], fields: {{last_name: WHO, email: MAIL}}}}
""",
    "nested": """
flow: nested
system: erp
read: {format: jsonl}
into:
  - {entity: document, key: no, fields: {number: no}}
  - {entity: document_line, owner: document, each: lines, key: [^no, n], fields: {position: {from: n, as: integer}}}
""",
    "sheet": f"""
flow: sheet
system: erp
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
    "other": f"""
flow: other
system: erp
into: {{entity: company, key: CODE, fields: {FIELDS}}}
""",
}
module_road, road = roads(FLOWS)
HEAD, GOOD, WRONG = "CODE;NAME;SIREN", "999009012", "999009013"
Edit = Callable[[list[str]], list[str]]


def exported(road: Road, flow: str, edit: Edit = lambda lines: lines) -> Path:
    """The rejects of a flow as a file, edited line by line; quotes are where a spreadsheet leaves them."""
    (written,) = export_held(road.hub, flow, road.root / "files" / f"{flow}_corrections_{next(road.numbers)}.csv")
    lines = written.path.read_text().splitlines()
    if flow not in ("fixed", "lines"):
        saved = io.StringIO()
        csv.writer(saved, delimiter=";", lineterminator="\n").writerows(csv.reader(lines, delimiter=";"))
        lines = saved.getvalue().splitlines()
    written.path.write_text("".join(f"{line}\n" for line in edit(lines)))
    return written.path


def correct(road: Road, flow: str, edit: Edit, into: str = "company") -> dict[str, int]:
    """Drops the edited export; what became of its rows."""
    path = exported(road, flow, edit)
    return told(road.run(flow, *path.read_text().splitlines(), name=path.name), into)


def swap(*pairs: tuple[str, str]) -> Edit:
    """Each text is replaced where it stands first, and has to stand somewhere."""
    def edit(lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        return text.split("\n")

    return edit


def states(road: Road) -> dict[int, str]:
    return dict(road.hub_sees("SELECT id, state FROM sync.held ORDER BY id"))


def test_a_damaged_line_that_was_filled_in_is_closed_by_its_row(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", "2;two;much;too;far", "3;short", name="PLAIN_20260105.csv")
    assert len(road.held()) == 2
    assert correct(road, "plain", swap((";;;the line has 5", "2;Two;;the line has 5"))) == {"created": 1, "rejected": 1}
    assert [row[0] for row in road.hub_sees("SELECT raw_text FROM sync.held WHERE state = 'open'")] == ["3;short"]
    assert correct(road, "plain", swap((";;;the line has", "3;Three;;the line has"))) == {"created": 1}
    assert (road.held(), road.names()) == ([], ["One", "Three", "Two"])


def test_a_damaged_line_of_a_file_without_quotes_keeps_its_text_until_it_is_filled_in(road: Road) -> None:
    road.run("unquoted", "CODE|NAME|SIREN", f"1|One|{GOOD}|more")
    (written,) = export_held(road.hub, "unquoted", road.root / "files" / "unquoted_back.csv")
    road.run("unquoted", *written.path.read_text().splitlines(), name="unquoted_again.csv")
    assert road.hub_sees("SELECT raw_text, code FROM sync.held WHERE state = 'open'") == [
        (f"1|One|{GOOD}|more", "columns")]


def test_a_damaged_line_that_nobody_filled_in_stays_the_reject_it_was(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", "2;two;much;too", name="PLAIN_20260105.csv")
    before = road.hub_sees("SELECT id, state, code, causes, raw, raw_text, source, line FROM sync.held")
    for _ in range(2):
        assert correct(road, "plain", lambda lines: lines) == {"rejected": 1}
    assert road.hub_sees("SELECT id, state, code, causes, raw, raw_text, source, line FROM sync.held") == before
    assert road.hub_sees("SELECT name FROM crm.company WHERE archived_at IS NULL") == [("One",)]


def test_a_filled_in_line_that_is_still_wrong_is_one_open_reject(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", "2;two;much;too", name="PLAIN_20260105.csv")
    fill = swap((";;;the line", f"2;Two;{WRONG};the line"))
    assert correct(road, "plain", fill) == {"rejected": 1}
    assert road.held() == [("rejected", "2", "not_siren")]
    assert correct(road, "plain", swap((WRONG, GOOD))) == {"created": 1}
    assert (road.held(), len(road.held("closed"))) == ([], 1)


def test_a_corrected_key_closes_the_reject_of_the_old_one(road: Road) -> None:
    road.run("plain", HEAD, f"1x;One;{WRONG}", f"2x;Two;{WRONG}", "3;Three;", name="PLAIN_20260105.csv")
    fix = swap((f"1x;One;{WRONG}", f"1;One;{GOOD}"), ("2x;Two", "2;Two"))
    assert correct(road, "plain", fix) == {"created": 1, "rejected": 1}
    assert road.held() == [("rejected", "2", "not_siren")], "one open reject, under the key that it has now"
    assert {row[1] for row in road.held("closed")} == {"1x"}


def test_a_file_may_be_corrected_again_until_its_row_comes_in(road: Road) -> None:
    road.run("plain", HEAD, f"1x;One;{WRONG}", "2;two;much;too", "3;Three;", name="PLAIN_20260105.csv")
    ids = set(states(road))
    path = exported(road, "plain")
    for old, new in (('1x;One', '1y;One'), (';;;the', f'2x;Two;{WRONG};the'), ('1y;One', '1z;One'), ('2x;Two', '2y;Two')):
        path.write_text(path.read_text().replace(old, new, 1))
        road.run("plain", *path.read_text().splitlines(), name=path.name)
        assert states(road) == dict.fromkeys(ids, "open"), new
    assert {row[1] for row in road.held()} == {"1z", "2y"}
    path.write_text(path.read_text().replace("1z", "1").replace("2y", "2").replace(WRONG, GOOD))
    assert told(road.run("plain", *path.read_text().splitlines(), name=path.name)) == {"created": 2}
    assert road.held() == []


def test_a_key_that_is_corrected_to_one_that_is_held_too_leaves_one_reject_of_it(road: Road) -> None:
    road.run("plain", HEAD, f"1x;One;{WRONG}", f"1;Uno;{WRONG}", "3;Three;", name="PLAIN_20260105.csv")
    lines = exported(road, "plain", swap(("1x;One", "1;One"))).read_text().splitlines()
    assert road.counts("plain", *lines[:2]) == {"rejected": 1}
    assert road.hub_sees("SELECT key, raw->>'NAME' FROM sync.held WHERE state = 'open'") == [("1", "One")]


@pytest.mark.parametrize(("edit", "code"), [
    (swap(("2;Two;", "2;;Two;")), "columns"), (swap(("2;Two;", "2;")), "columns"), (swap(("2;Two;", ";Two;")), "no_key"),
])
def test_a_row_that_a_correction_damages_is_one_open_reject(road: Road, edit: Edit, code: str) -> None:
    road.run("plain", HEAD, "1;One;", f"2;Two;{WRONG}", name="PLAIN_20260105.csv")
    assert correct(road, "plain", edit) == {"rejected": 1}
    [(outcome, _, found)] = road.held()
    assert (outcome, found) == ("rejected", code)
    text = road.one("SELECT coalesce(raw_text, raw::text) FROM sync.held WHERE state = 'open'")
    assert "Two" in text or code == "columns"
    assert "navette" not in text
    assert "not a valid" not in text, "the reasons are no part of the row"
    lines = exported(road, "plain").read_text().splitlines()
    assert len(lines) == 2


def test_rows_that_are_left_out_of_the_file_stay_open_and_a_row_given_twice_closes_once(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", f"2;Two;{WRONG}", f"3;Three;{WRONG}", name="PLAIN_20260105.csv")

    def edit(lines: list[str]) -> list[str]:
        good = lines[1].replace(WRONG, GOOD)
        return [lines[0], good, good, "9;Nine;;;;;;;"]

    assert correct(road, "plain", edit) == {"created": 2, "superseded": 1}
    assert road.held() == [("rejected", "3", "not_siren")]


def test_the_same_corrections_twice_change_nothing_more(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", f"2x;Two;{WRONG}", name="PLAIN_20260105.csv")
    path = exported(road, "plain", swap((f"2x;Two;{WRONG}", f"2;Two;{GOOD}")))
    lines = path.read_text().splitlines()
    assert road.counts("plain", *lines, name=path.name) == {"created": 1}
    road.run("plain", HEAD, "1;One;", f"2;Two;{GOOD}", f"2x;Two;{WRONG}", name="PLAIN_20260106.csv")
    before = states(road)
    assert road.counts("plain", *lines, name="again.csv") == {"unchanged": 1}
    assert states(road) == before, "what was refused since is another row"


def test_corrections_of_an_older_file_leave_the_newer_refusal_open(road: Road) -> None:
    road.run("plain", HEAD, "1;One;", f"2;Two;{WRONG}", name="PLAIN_20260105.csv")
    path = exported(road, "plain", swap((f"2;Two;{WRONG}", f"2;Monday;{GOOD}")))
    road.run("plain", HEAD, "1;One;", f"2;Tuesday;{WRONG}", name="PLAIN_20260106.csv")
    road.run("plain", *path.read_text().splitlines(), name="PLAIN_20260105.csv")
    assert road.hub_sees("SELECT raw->>'NAME' FROM sync.held WHERE state = 'open'") == [("Tuesday",)]


def test_numbers_of_rows_of_another_flow_or_of_none_close_nothing(road: Road) -> None:
    road.run("other", HEAD, f"2;Two;{WRONG}")
    number = road.one("SELECT id FROM sync.held")
    head = f"{HEAD};navette_id"
    assert road.counts("plain", head, f"1;One;;{number}", "2;Two;;4711", "3;Three;;x", "4;Four;;1,0") == {"created": 4}
    assert states(road) == {number: "open"}


def test_of_a_row_that_two_intos_held_each_closes_what_came_in(road: Road) -> None:
    head = f"{HEAD};WHO;MAIL"
    result = road.run("both", head, f"1x;One;{WRONG};Martin;no mail", "2;Two;;Petit;")
    assert (told(result)["rejected"], told(result, "contact")["rejected"]) == (1, 1)
    assert correct(road, "both", swap((f"1x;One;{WRONG}", f"1;One;{GOOD}"))) == {"created": 1}
    assert road.held() == [("rejected", "1|Martin", "not_email")]
    assert correct(road, "both", swap(("no mail", "m@example.com")), "contact") == {"created": 1}
    assert road.held() == []


@pytest.mark.parametrize("flow", ["bare", "fixed", "lines"])
def test_files_without_headers_carry_the_numbers_too(road: Road, flow: str) -> None:
    row = {"bare": "{};{};{}", "fixed": "{:4}{:10}{:9}", "lines": '{{"CODE": "{}", "NAME": "{}", "SIREN": "{}"}}'}[flow]
    road.run(flow, row.format("1", "One", ""), row.format("2x", "Two", WRONG), row.format("3x", "Three", WRONG))
    before, after = {"bare": ("3x", "3"), "fixed": ("3x", "3 "), "lines": ("3x", "3")}[flow]
    assert correct(road, flow, swap((before, after), (WRONG, WRONG))) == {"rejected": 2}
    assert {row[1] for row in road.held()} == {"2x", "3"}
    assert correct(road, flow, lambda lines: [line.replace(WRONG, GOOD) for line in lines]) == {"created": 2}
    assert road.held() == []


def test_a_spreadsheet_may_make_a_number_of_the_numbers(road: Road) -> None:
    def saved(path: Path, rows: list[list[object]]) -> Path:
        path.parent.mkdir(exist_ok=True)
        with xlsxwriter.Workbook(str(path)) as book:
            sheet = book.add_worksheet("S")
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
        return path

    first: list[list[object]] = [["CODE", "NAME", "SIREN"], ["1x", "One", WRONG], ["2", "Two", ""]]
    run_flow(road.hub, "sheet", file=saved(road.root / "files" / "sheet.xlsx", first))
    (written,) = export_held(road.hub, "sheet", road.root / "files" / "back.xlsx")
    rows = python_calamine.load_workbook(str(written.path)).get_sheet_by_index(0).to_python()
    rows[1][0], rows[1][2], place = "1", GOOD, rows[0].index("navette_id")
    rows[1][place] = float(str(rows[1][place]))
    assert told(run_flow(road.hub, "sheet", file=saved(written.path, [[*row] for row in rows]))[-1]) == {"created": 1}
    assert road.held() == []


def test_rows_of_nested_lists_and_damaged_lines_of_several_intos_stay_what_they_are(road: Road) -> None:
    road.run("nested", '{"no": "D1", "lines": [{"n": "1"}, {"n": "x"}]}', '{"no": "", "lines": []}', "{broken",
             name="nested.jsonl")
    before = road.held()
    assert len(before) == 4
    (written,) = export_held(road.hub, "nested", road.root / "files" / "nested_back.jsonl")
    for _ in range(2):
        road.run("nested", *written.path.read_text().splitlines(), name="again.jsonl")
        replay(road.hub, "nested")
        assert sorted(map(str, road.held())) == sorted(map(str, before))
    text = written.path.read_text().replace('"no":null', '"no":"D2"').replace('"n":"x"', '"n":"2"')
    road.run("nested", *text.splitlines(), name="corrected.jsonl")
    assert {row[2] for row in road.held()} == {"record"}


def test_a_line_of_spoilt_bytes_that_nobody_corrected_is_no_data(road: Road) -> None:
    path = road.root / "files" / "spoilt.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(f"{'1':4}{'One':10}{'':9}\n".encode() + b"2   Tw\xffo\n")
    run_flow(road.hub, "fixed", file=path)
    (written,) = export_held(road.hub, "fixed", road.root / "files" / "spoilt_back.txt")
    assert told(run_flow(road.hub, "fixed", file=written.path)[-1]) == {"rejected": 1}
    assert [row[2] for row in road.held()] == ["bytes"]
    written.path.write_text(written.path.read_text().replace("Tw\\xffo   ", "Two       "))
    assert told(run_flow(road.hub, "fixed", file=written.path)[-1]) == {"created": 1}
    assert (road.held(), road.names()) == ([], ["One", "Two"])


def test_corrections_that_wait_in_review_close_their_rows_when_they_are_approved(road: Road) -> None:
    good = [f"{number};Company {number};" for number in range(100, 140)]
    road.run("plain", HEAD, *good, *[f"{number}x;Bad;{WRONG}" for number in range(25)], name="PLAIN_20260105.csv")
    path = exported(road, "plain", lambda lines: [line.replace("x;Bad", ";Bad") for line in lines])
    waiting = road.run("plain", *path.read_text().splitlines(), name=path.name, state="review")
    assert {row[1] for row in road.held()} == {f"{number}x" for number in range(25)}
    assert told(settle_run(road.hub, waiting.run_id, approve=True)) == {"rejected": 25}
    assert {row[1] for row in road.held()} == {str(number) for number in range(25)}


def test_a_replayed_row_that_has_another_key_by_now_closes_its_old_self(road: Road) -> None:
    road.run("plain", HEAD, f"1;One;{WRONG}", "2;Two;", name="PLAIN_20260105.csv")
    road.hub_sees("UPDATE sync.held SET identity = 'old', key = 'old'")
    for _ in range(2):
        assert told(replay(road.hub, "plain")[-1]) == {"rejected": 1}
        assert road.held() == [("rejected", "1", "not_siren")]


def test_elements_that_are_refused_again_stay_the_rejects_they_were(road: Road) -> None:
    row = '{"no": "D1", "lines": [{"n": "1"}, {"n": "x"}, {"n": ""}, {"n": "y"}]}'
    road.run("nested", row, name="first.jsonl")
    before = dict(road.hub_sees("SELECT id, key FROM sync.held"))
    assert sorted(before.values(), key=str) == ["D1|x", "D1|y", None]
    for old, new in (("x", "xx"), ("xx", "z"), ("y", "yy")):
        (written,) = export_held(road.hub, "nested", road.root / "files" / f"elements_{old}.jsonl")
        text = written.path.read_text().replace(f'"n":"{old}"', f'"n":"{new}"')
        road.run("nested", *text.splitlines(), name=f"elements_{old}_back.jsonl")
        assert states(road) == dict.fromkeys(before, "open")
    replay(road.hub, "nested")
    assert states(road) == dict.fromkeys(before, "open")
    (written,) = export_held(road.hub, "nested", road.root / "files" / "elements_last.jsonl")
    text = written.path.read_text().replace('"n":"z"', '"n":"2"').replace('"n":""', '"n":"3"')
    road.run("nested", *text.splitlines(), name="elements_corrected.jsonl")
    assert road.held() == [("rejected", "D1|yy", "not_integer")]


def test_a_row_with_characters_that_cannot_be_stored_stays_the_reject_it_was(road: Road) -> None:
    road.run("nested", '{"no": "A\\u0000B", "lines": []}', name="spoilt_key.jsonl")
    assert road.held() == [("rejected", None, "not_text")]
    (row,) = open_rows(road.hub, "nested")
    assert row.causes[0].sentence == "no: 'A␀B' holds characters that cannot be stored"
    (written,) = export_held(road.hub, "nested", road.root / "files" / "spoilt_key_back.jsonl")
    road.run("nested", *written.path.read_text().splitlines(), name="again.jsonl")
    replay(road.hub, "nested")
    assert [row.id for row in open_rows(road.hub, "nested")] == [row.id]
    assert road.hub_sees("SELECT number FROM crm.document") == []
    road.run("nested", *written.path.read_text().replace("A␀B", "AB").splitlines(), name="corrected.jsonl")
    assert (road.held(), road.hub_sees("SELECT number FROM crm.document")) == ([], [("AB",)])


def test_an_element_with_characters_that_cannot_be_stored_stays_the_reject_it_was(road: Road) -> None:
    road.run("nested", '{"no": "D8", "lines": [{"n": "1\\u0000"}]}', name="spoilt_element.jsonl")
    (row,) = open_rows(road.hub, "nested")
    (written,) = export_held(road.hub, "nested", road.root / "files" / "spoilt_element_back.jsonl")
    road.run("nested", *written.path.read_text().splitlines(), name="again.jsonl")
    replay(road.hub, "nested")
    assert [(each.id, each.raw) for each in open_rows(road.hub, "nested")] == [(row.id, row.raw)]
    text = written.path.read_text().replace("\\u0000", "")
    assert told(road.run("nested", *text.splitlines(), name="corrected.jsonl"), "document_line") == {"created": 1}
    assert road.held() == []


def test_a_nested_list_that_is_none_is_held_with_its_row_and_corrected_there(road: Road) -> None:
    road.run("nested", '{"no": "D6", "lines": "text"}', '{"no": "D7", "lines": [{"n": "1"}]}', name="no_list.jsonl")
    (row,) = open_rows(road.hub, "nested")
    assert (row.into, row.raw) == ("document_line", {"no": "D6", "lines": "text"})
    assert row.causes[0].sentence.startswith("lines: 'text' is no JSON: ")
    (written,) = export_held(road.hub, "nested", road.root / "files" / "no_list_back.jsonl")
    for _ in range(2):
        result = road.run("nested", *written.path.read_text().splitlines(), name="again.jsonl")
        assert (told(result, "document"), told(result, "document_line")) == ({"unchanged": 1}, {"rejected": 1})
        replay(road.hub, "nested")
        assert [each.id for each in open_rows(road.hub, "nested")] == [row.id]
    text = written.path.read_text().replace('"lines":"text"', '"lines":[{"n":"4"},{"n":"5"}]')
    assert told(road.run("nested", *text.splitlines(), name="corrected.jsonl"), "document_line") == {"created": 2}
    assert road.held() == []
    assert road.hub_sees("SELECT position FROM crm.document_line ORDER BY 1") == [(1,), (4,), (5,)]


def test_a_list_that_is_none_beside_a_damaged_line_takes_nothing_of_it(road: Road) -> None:
    road.run("nested", "{broken", '{"no": "D6", "lines": "text"}', name="both_wrong.jsonl")
    rows = {(row.into, row.raw_text, str(row.raw)) for row in open_rows(road.hub, "nested")}
    assert rows == {("document", "{broken", "None"), ("document_line", "{broken", "None"),
                    ("document_line", None, "{'no': 'D6', 'lines': 'text'}")}
