"""Files for other systems: full and of changes, numbered, whole or not at all; what does not fit is refused and told."""

from __future__ import annotations

import orjson
import pytest
from typer.testing import CliRunner

from connectors.file.open import open_source
from mappings.errors import ConfigurationError, RetryLater, RunStopped
from mappings.language.read import Read
from pipelines.cli import running, sending
from pipelines.cli import status as telling
from pipelines.cli.app import app
from pipelines.ops.status import status as status_of
from pipelines.runs.intake import run_flow
from pipelines.runs.lock import flow_lock
from pipelines.runs.preview import preview_flow
from tests.file_desk import FLOW, FileDesk, desk

pytestmark = pytest.mark.slow

__all__ = ["desk"]

for group in (running, sending, telling):
    group.register(app)


def test_the_first_file_holds_everything_and_the_next_ones_what_changed(desk: FileDesk) -> None:
    a, b = desk.company("Éts A; fils", city="Lyon", credit_limit=12.5, credit_limit_currency="EUR"), desk.company("B")
    desk.company("no customer", type="supplier")
    first = desk.push()
    assert first.files == ["customers_0001.csv"]
    assert desk.lines("customers_0001.csv") == ["ID;NAME;CITY;CREDIT", f'{a};"Éts A; fils";Lyon;12.50', f"{b};B;;"]
    assert desk.markers() == []
    desk.rename(b, "B2")
    assert desk.push().counts["written"] == 1
    assert desk.lines("customers_0002.csv") == ["ID;NAME;CITY;CREDIT", f"{b};B2;;"]
    assert desk.push().files == []
    assert desk.there() == ["customers_0001.csv", "customers_0002.csv"]
    assert desk.numbers() == [(1, "delivered"), (2, "delivered")]


def test_everything_writes_a_full_file_in_between(desk: FileDesk) -> None:
    a, b = desk.company("A"), desk.company("B")
    desk.push()
    desk.rename(a, "A2")
    assert desk.push(full=True).counts["written"] == 2
    assert desk.lines("customers_0002.csv")[1:] == [f"{a};A2;;", f"{b};B;;"]
    assert desk.push().files == []


def test_what_cannot_be_encoded_is_refused_listed_and_written_once_it_was_corrected(desk: FileDesk) -> None:
    a, b = desk.company("A"), desk.company("Ωmega")
    result = desk.push()
    assert (result.counts["written"], result.counts["refused"]) == (1, 1)
    assert desk.lines("customers_0001.csv")[1:] == [f"{a};A;;"]
    ((record, state, why),) = desk.refused()
    assert (record, state) == (b, "refused")
    assert why == "NAME: 'Ωmega' has characters that cp1252 does not have"
    assert desk.push().files == []
    desk.rename(b, "Omega")
    assert desk.push().files == ["customers_0002.csv"]
    assert desk.refused() == []


def test_what_is_wider_than_its_column_is_refused_and_never_cut(desk: FileDesk) -> None:
    desk.flow(FLOW.replace("csv: {delimiter: \";\", encoding: cp1252}",
                           "fixed: {columns: {ID: [1, 8], NAME: [10, 6], CITY: [17, 5], CREDIT: [23, 9]}}"))
    a, b = desk.company("Short"), desk.company("Much too long")
    desk.push()
    assert desk.lines("customers_0001.csv", "utf-8") == [f"{a:<8} Short                 "]
    assert desk.refused() == [(b, "refused", "NAME: 'Much too long' takes 13 places, its column has 6")]


def test_an_amount_in_another_currency_and_a_key_that_is_blank_are_refused(desk: FileDesk) -> None:
    desk.flow(FLOW.replace("  reference: ID\n", "").replace("key: ID", "key: SIRET").replace(
        "    name: NAME", "    siret: SIRET\n    name: NAME"))
    a = desk.company("A", siret="73282932000074", credit_limit=5, credit_limit_currency="USD")
    b = desk.company("B")
    assert desk.push().counts["refused"] == 2
    assert [record for record, *_ in desk.refused()] == [a, b]


def test_an_archived_record_is_left_out_and_comes_back(desk: FileDesk) -> None:
    a, b = desk.company("A"), desk.company("B")
    desk.push()
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE id = %s", a)
    assert desk.push().as_json()["left_out"] == 1
    desk.rename(a, "A2")
    desk.push()
    assert desk.there() == ["customers_0001.csv"]
    desk.crm("UPDATE crm.company SET archived_at = NULL WHERE id = %s", a)
    desk.push()
    assert desk.lines("customers_0002.csv")[1:] == [f"{a};A2;;"]
    desk.flow(FLOW + "    archived: {from: GONE, true: [\"1\"], false: [\"0\"]}\n")
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE id = %s", b)
    desk.push()
    assert desk.lines("customers_0003.csv") == ["ID;NAME;CITY;CREDIT;GONE", f"{b};B;;;1"]


def test_an_empty_full_file_is_written_and_an_empty_file_of_changes_is_not_unless_it_says_so(desk: FileDesk) -> None:
    assert desk.push().files == ["customers_0001.csv"]
    assert desk.lines("customers_0001.csv") == ["ID;NAME;CITY;CREDIT"]
    assert desk.push().files == []
    desk.flow(FLOW.replace("  reference: ID", "  reference: ID\n  when_empty: write"))
    assert desk.push().files == ["customers_0002.csv"]
    desk.flow(FLOW.replace("  reference: ID", "  reference: ID\n  full: true\n  when_empty: skip"))
    assert desk.push().files == []
    assert desk.numbers() == [(1, "delivered"), (2, "delivered")]


def test_a_trailer_tells_rows_and_sums(desk: FileDesk) -> None:
    desk.flow(FLOW.replace("encoding: cp1252}}", "encoding: cp1252, decimal: \",\"}}\n"
                           "  trailer: {by: ID, is: END, rows: NAME, sum: {CREDIT: CREDIT}}"))
    for number in range(3):
        desk.company(f"C{number}", credit_limit=1000.25, credit_limit_currency="EUR")
    desk.push()
    assert desk.lines("customers_0001.csv")[3:] == [f"{desk.sees('SELECT max(id) FROM crm.company')[0][0]};C2;;1000,25",
                                                    "END;3;;3000,75"]


def test_cells_that_a_spreadsheet_would_run_are_left_as_they_are_unless_the_flow_says_so(desk: FileDesk) -> None:
    desk.company("=1+1")
    desk.push()
    assert ";=1+1;" in desk.lines("customers_0001.csv")[1]
    desk.flow(FLOW.replace("  reference: ID", "  reference: ID\n  neutral: true"))
    desk.push(full=True)
    assert ";'=1+1;" in desk.lines("customers_0002.csv")[1]


@pytest.mark.parametrize("spoil", ["missing", "a file"])
def test_a_folder_that_cannot_be_used_is_told_and_changes_nothing(desk: FileDesk, spoil: str) -> None:
    a = desk.company("A")
    desk.out.rmdir()
    if spoil == "a file":
        desk.out.write_text("")
    with pytest.raises(ConfigurationError, match="the folder that files are written to"):
        desk.push()
    assert desk.markers() == [(a, "waiting", None)]
    assert desk.numbers() == []
    if spoil == "a file":
        desk.out.unlink()
    desk.out.mkdir()
    assert desk.push().files == ["customers_0001.csv"]


def test_a_file_of_another_hand_is_not_written_over(desk: FileDesk) -> None:
    desk.company("A")
    (desk.out / "customers_0001.csv").write_text("mine")
    with pytest.raises(RunStopped, match="already"):
        desk.push()
    assert desk.there() == ["customers_0001.csv"]
    (desk.out / "customers_0001.csv").unlink()
    assert desk.push().files == ["customers_0001.csv"]


def test_far_fewer_rows_than_in_the_last_full_file_are_asked_about(
    desk: FileDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    for number in range(30):
        desk.company(f"C{number}")
    desk.push()
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE name > 'C2'")
    held = desk.push(full=True)
    assert held.exit_code == 3
    assert [trip.what for trip in held.tripped] == ["archives"]
    told = CliRunner().invoke(app, ["push", "customers_out", "--everything"])
    assert told.exit_code == 3
    assert "the file would hold 17 records fewer than the 30 of the last one that held everything" in told.stdout
    assert "navette push customers_out --everything --approve sends it" in told.stdout
    assert desk.there() == ["customers_0001.csv"]
    assert desk.push(full=True, approved=True).files == ["customers_0002.csv"]


def test_more_refusals_than_the_guard_allows_are_asked_about_until_somebody_approves(
    desk: FileDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    desk.flow(FLOW + "guard: {rejects: 2%}\n")
    numbers = [desk.company(f"C{number}") for number in range(30)]
    desk.push()
    for number in numbers:
        desk.rename(number, "Ωmega" if number in numbers[:4] else "Other")
    for _ in range(2):
        held = CliRunner().invoke(app, ["push", "customers_out"])
        assert held.exit_code == 3, held.output
        assert "nothing was sent: company: 4 of 30 records cannot be written; the guard allows 2%." in held.stdout
        assert desk.there() == ["customers_0001.csv"]
    assert {why for *_, why in desk.refused()} == {"NAME: 'Ωmega' has characters that cp1252 does not have"}
    assert desk.push(approved=True).counts["written"] == 26
    assert [(record, state) for record, state, _ in desk.refused()] == [(number, "refused") for number in numbers[:4]]
    assert desk.push().files == []


def test_a_push_that_was_stopped_on_the_way_has_refused_nothing(
    desk: FileDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.flow(FLOW + "guard: {rejects: 2%}\n")
    numbers = [desk.company(f"C{number}") for number in range(30)]
    desk.push()
    for number in numbers:
        desk.rename(number, "Ωmega" if number in numbers[:4] else "Other")
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.runs.push_file.content_digest", no_room)
        with pytest.raises(RunStopped):
            desk.push()
    assert desk.push().exit_code == 3


def no_room(*_: object) -> str:
    raise OSError(28, "No space left on device")


def test_a_push_of_all_flows_approves_of_none(desk: FileDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    desk.company("A")
    refused = CliRunner().invoke(app, ["push", "--approve"])
    assert refused.exit_code == 1
    assert "navette push FLOW --approve" in refused.stderr
    assert desk.there() == []


def test_two_pushes_at_once_are_one_after_the_other(desk: FileDesk) -> None:
    desk.company("A")
    with flow_lock(desk.hub, "customers_out"), pytest.raises(RetryLater):
        desk.push()
    assert desk.push().files == ["customers_0001.csv"]


def test_preview_shows_the_rows_and_what_is_wrong_and_leaves_no_trace(desk: FileDesk) -> None:
    a, b = desk.company("A"), desk.company("Ωmega")
    before = desk.markers()
    seen = preview_flow(desk.hub, "customers_out")
    assert seen.due == 2
    assert [(one["record_id"], one["key"], one["cells"]["NAME"]) for one in seen.sends] == [
        (a, str(a), ["", "A"]), (b, str(b), ["", "Ωmega"])]
    assert [bool(one["problem"]) for one in seen.sends] == [False, True]
    assert (desk.markers(), desk.numbers(), desk.there()) == (before, [], [])


BACK = """
flow: customers_in
system: shop
read: {files: "cli_{number:d}.csv", format: {csv: {delimiter: ";", encoding: utf-8}}}
into:
  entity: company
  ids: customers
  key: CODE
  defaults: {type: customer}
  fields: {name: NAME}
"""
KNOWN = FLOW.replace("  reference: ID\n", "").replace("key: ID", "ids: customers\n  key: CODE") + """\
    parent: {from: GROUP, refers: {entity: company, ids: customers}}
"""


def test_a_key_that_the_system_gave_is_written_and_a_link_to_what_it_does_not_know_waits(desk: FileDesk) -> None:
    (desk.root / "mappings/flows/customers_in.yaml").write_text(BACK)
    desk.flow(KNOWN)
    came = desk.root / "cli_1.csv"
    came.write_text("CODE;NAME\nC|1;A\nC2;B\n")
    assert run_flow(desk.hub, "customers_in", file=came)[-1].state == "done"
    (a,), (b,) = desk.crm("SELECT id FROM crm.company ORDER BY name")
    new = desk.company("New")
    desk.crm("UPDATE crm.company SET parent = %s WHERE id = %s", a, b)
    assert desk.push().counts["written"] == 2
    assert desk.lines("customers_0001.csv") == ["CODE;NAME;CITY;CREDIT;GROUP", "C|1;A;;;", "C2;B;;;C|1"]
    desk.crm("UPDATE crm.company SET parent = %s WHERE id = %s", new, b)
    desk.push()
    assert desk.refused() == [(b, "waiting", "parent: waits for its company to be known there")]
    desk.flow(KNOWN.replace("write:\n", "write:\n  create: true\n"))
    desk.rename(new, "Newer")
    desk.push()
    assert desk.lines("customers_0002.csv")[1:] == [";Newer;;;"]


def test_links_as_our_own_id_and_several_of_them(desk: FileDesk) -> None:
    desk.flow(FLOW + "    parent: {from: GROUP, refers: {entity: company, by: id}}\n")
    a = desk.company("A")
    b = desk.company("B", parent=a)
    desk.push()
    assert desk.lines("customers_0001.csv")[1:] == [f"{a};A;;;", f"{b};B;;;{a}"]


def test_links_as_a_field_of_the_other_record_in_the_form_of_the_file(desk: FileDesk) -> None:
    desk.flow(FLOW + '    parent: {from: SINCE, format: "%d/%m/%Y", refers: {entity: company, by: founded_on}}\n')
    a = desk.company("A", founded_on="2020-02-01")
    b, c = desk.company("B", parent=a), desk.company("C")
    desk.push()
    assert desk.lines("customers_0001.csv")[1:] == [f"{a};A;;;", f"{b};B;;;01/02/2020", f"{c};C;;;"]


@pytest.mark.parametrize("refers", ["equipment", "{entity: equipment, by: number}"])
def test_sets_of_links_as_keys_or_as_a_field_of_the_other_records(desk: FileDesk, refers: str) -> None:
    (desk.root / "mappings/flows/machines.yaml").write_text(
        "flow: machines\nsystem: shop\nread: {files: machines.csv}\ninto: {entity: equipment, key: NO, fields: {number: NO}}\n")
    desk.flow(FLOW.partition("  when:")[0] + f"""  reference: ID
into:
  entity: operation
  key: ID
  fields: {{name: NAME, equipment: {{from: MACHINES, split: ",", refers: {refers}}}}}
""")
    (desk.root / "machines.csv").write_text("NO\nb2\na1\nc3\n")
    run_flow(desk.hub, "machines", file=desk.root / "machines.csv")
    desk.crm("INSERT INTO crm.operation (name, equipment) SELECT 'Repair', array_agg(id ORDER BY id) FROM"
             " crm.equipment WHERE number <> 'c3'")
    desk.push()
    assert [line.partition(";")[2] for line in desk.lines("customers_0001.csv")[1:]] == ["Repair;b2,a1"]


def test_the_commands_write_and_tell(desk: FileDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    a, _ = desk.company("A"), desk.company("Ωmega")
    shown = CliRunner().invoke(app, ["preview", "customers_out"]).stdout
    assert "would write" in shown
    assert "but: NAME: 'Ωmega' has characters that cp1252 does not have" in shown
    pushed = CliRunner().invoke(app, ["push"])
    assert pushed.exit_code == 0
    assert "customers_out: wrote customers_0001.csv" in pushed.stdout
    assert "navette outbox customers_out tells what was not taken" in pushed.stdout
    desk.rename(a, "A2")
    told = orjson.loads(CliRunner().invoke(app, ["push", "customers_out", "--json"]).stdout)
    assert (told["files"], told["written"], told["refused"]) == (["customers_0002.csv"], 1, 0)
    told = orjson.loads(CliRunner().invoke(app, ["push", "customers_out", "--everything", "--json"]).stdout)
    assert (told["files"], told["written"], told["refused"]) == (["customers_0003.csv"], 1, 1)
    listed = orjson.loads(CliRunner().invoke(app, ["outbox", "--json"]).stdout)
    assert [one["code"] for one in listed["records"]] == ["not_encodable"]
    assert CliRunner().invoke(app, ["run", "customers_out"]).exit_code == 1


def test_a_workbook_and_json_lines(desk: FileDesk) -> None:
    desk.flow(FLOW.replace('.csv"', '.jsonl"').replace('{csv: {delimiter: ";", encoding: cp1252}}', "jsonl"))
    a = desk.company("A", credit_limit=5, credit_limit_currency="EUR")
    desk.push()
    assert desk.lines("customers_0001.jsonl", "utf-8") == [f'{{"ID":"{a}","NAME":"A","CITY":null,"CREDIT":5.00}}']
    desk.flow(FLOW.replace('.csv"', '.xlsx"').replace('{csv: {delimiter: ";", encoding: cp1252}}', "excel"))
    desk.push(full=True)
    source = open_source(desk.out / "customers_0002.xlsx", Read())
    assert [page.frame.values.tolist() for page in source.pages()] == [[[str(a), "A", "", "5.00"]]]


def test_status_tells_of_a_flow_that_only_writes(desk: FileDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    desk.flow(FLOW + 'schedule: {changes: "0 5 * * *"}\n')
    (before,) = status_of(desk.hub)
    assert (before.flow, before.direction, before.last_run, before.file) == ("customers_out", "out", None, None)
    assert before.next_due is not None
    desk.company("A"), desk.company("B"), desk.company("Ωmega")
    pushed = desk.push()
    (now,) = status_of(desk.hub)
    assert now.last_good is not None
    assert (now.last_good.run_id, now.outgoing) == (pushed.run_id, {"refused": 1})
    assert now.file is not None
    assert (now.file.name, now.file.full, now.file.rows, now.file.refused) == ("customers_0001.csv", True, 2, 1)
    shown = CliRunner().invoke(app, ["status"]).stdout
    assert "customers_out: the last file is customers_0001.csv, of " in shown
    assert "customers_out: one record was not taken by shop" in shown
