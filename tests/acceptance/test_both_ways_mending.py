"""The crosswalk mended by hand: link, unlink, merge, each noted and undone; with real systems on both sides."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from mappings.errors import ConfigurationError, RetryLater
from pipelines.cli import mending
from pipelines.cli.app import app
from pipelines.ops.conflicts import settle_conflict
from pipelines.ops.mending import link, mended, unlink
from pipelines.ops.merging import merge
from pipelines.ops.undoing import undo
from pipelines.runs import patience
from pipelines.runs.lock import flow_lock
from pipelines.runs.patience import patient
from pipelines.runs.reconcile import reconcile_flow
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

mending.register(app)


def key_of(both: Both, siret: str) -> str:
    return str(both.erp.one("SELECT id FROM customer WHERE siret = %s", siret))


def record_of(both: Both, siret: str) -> int:
    return int(both.one("SELECT id FROM crm.company WHERE siret = %s ORDER BY id LIMIT 1", siret))


def entries(both: Both) -> list[tuple[Any, ...]]:
    return both.sees("SELECT to_jsonb(x) - 'fingerprint' FROM sync.crosswalk_company x ORDER BY id_space, key, feed")


def companies(both: Both) -> list[tuple[Any, ...]]:
    return both.sees("SELECT id, name, parent, archived_at IS NULL FROM crm.company ORDER BY id")


def test_a_link_by_hand_is_what_the_next_run_goes_by(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type, city) VALUES ('Ours', 'prospect', 'Nice')")
    both.erp("INSERT INTO customer (name, phone) VALUES ('Theirs', '+33141000001')")
    record, key = both.one("SELECT id FROM crm.company"), str(both.erp.one("SELECT id FROM customer"))
    told = link(both.hub, "erp_companies", key, record, why="they said so")
    assert (told.what, told.why, told.key, told.record_id, told.flow) == (
        "link", "they said so", key, record, "erp_companies")
    both.run("erp_companies")
    assert both.sees("SELECT name, phone, city FROM crm.company") == [("Theirs", "+33141000001", "Nice")]
    assert both.one("SELECT count(*) FROM crm.company") == 1
    undo(both.hub, told.id)
    assert entries(both) == []


def test_what_was_unlinked_comes_back_with_its_base_by_undo_and_by_linking_again(both: Both) -> None:
    filled(both, 1)
    before, key = entries(both), key_of(both, SIRETS[0])
    told = unlink(both.hub, "erp_companies", key)
    assert entries(both) == []
    undo(both.hub, told.id)
    assert entries(both) == before
    unlink(both.hub, "erp_companies", key)
    link(both.hub, "erp_companies", key, record_of(both, SIRETS[0]))
    without = [{k: v for k, v in row[0].items() if k != "linked_at"} for row in entries(both)]
    assert without == [{k: v for k, v in row[0].items() if k != "linked_at"} for row in before]
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    assert both.push("erp_companies").counts["updated"] == 1


def test_what_was_edited_here_while_a_row_was_unlinked_is_sent_once_that_is_undone(both: Both) -> None:
    desk = both.remade(("flows/erp", "create: true, ", ""))
    filled(desk, 1)
    told = unlink(desk.hub, "erp_companies", key_of(desk, SIRETS[0]))
    desk.crm("UPDATE crm.company SET city = 'Lyon'")
    desk.push("erp_companies")
    undo(desk.hub, told.id)
    assert desk.push("erp_companies").counts["updated"] == 1
    assert desk.erp("SELECT city FROM customer") == [("Lyon",)]


def test_a_key_that_comes_back_by_undo_is_the_primary_one_only_where_no_other_is_by_now(both: Both) -> None:
    filled(both, 1)
    told = unlink(both.hub, "erp_companies", "100")
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    assert both.push("erp_companies").counts["created"] == 1
    undo(both.hub, told.id)
    assert both.sees("SELECT key, is_primary FROM sync.crosswalk_company ORDER BY key") == [
        ("100", False), ("101", True)]


def test_an_unlinked_row_is_not_sent_to_and_nothing_is_made_twice(both: Both) -> None:
    filled(both, 1)
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    unlink(both.hub, "erp_companies", key_of(both, SIRETS[0]))
    assert both.push("erp_companies").as_json()["created"] == 0
    assert both.erp("SELECT city FROM customer") == [("City 1",)]


def test_the_row_that_a_lost_create_made_is_named_by_hand_and_not_made_again(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type) VALUES ('Made', 'customer')")
    record = both.one("SELECT id FROM crm.company")
    both.erp("INSERT INTO customer (name) VALUES ('Made'), ('Made')")
    run = both.one("INSERT INTO sync.run (flow, system, mapping, state) VALUES ('erp_companies', 'erp', '', 'done')"
                   " RETURNING id")
    feed = both.one("SELECT id FROM sync.feed WHERE flow = 'erp_companies'")
    both.sees("INSERT INTO sync.intent (feed, record_id, run_id, operation, values, state)"
              " VALUES (%s, %s, %s, 'create', '{}', 'unclear')", feed, record, run)
    both.sees("UPDATE sync.outbox SET state = 'unclear' WHERE feed = %s", feed)
    key = str(both.erp.one("SELECT max(id) FROM customer"))
    told = link(both.hub, "erp_companies", key, record)
    assert both.sees("SELECT state, key FROM sync.intent") == [("delivered", key)]
    undo(both.hub, told.id)
    assert both.sees("SELECT state FROM sync.intent") == [("unclear",)]
    assert both.one("SELECT state FROM sync.outbox WHERE feed = %s", feed) == "unclear"
    link(both.hub, "erp_companies", key, record)
    both.push("erp_companies")
    assert both.erp.one("SELECT count(*) FROM customer") == 2


def test_a_merge_moves_keys_and_links_and_undoing_it_puts_all_of_it_back(both: Both) -> None:
    filled(both)
    both.rounds()
    loser, winner, child = (record_of(both, siret) for siret in SIRETS[:3])
    both.crm("UPDATE crm.company SET parent = %s WHERE id = %s", loser, child)
    both.crm("UPDATE crm.company SET parent = %s WHERE id = %s", loser, winner)
    both.crm("INSERT INTO crm.contact (last_name, company) VALUES ('Durand', %s)", loser)
    for flow in both.project.flows:
        both.push(flow)
    before, known = companies(both), entries(both)
    told = merge(both.hub, "company", loser, winner, "the same firm")
    now = {row[0]: row for row in companies(both)}
    assert now[loser][3] is False
    assert (now[child][2], now[winner][2]) == (winner, None)
    assert both.one("SELECT company FROM crm.contact") == winner
    keys = both.sees("SELECT count(*), count(*) FILTER (WHERE is_primary) FROM sync.crosswalk_company"
                     " WHERE record_id = %s", winner)
    assert keys == [(4, 2)]  # in each of the two systems its own key, and an alias
    assert both.one("SELECT count(*) FROM sync.journal WHERE record_id = %s AND new ? 'parent'", child) > 0
    undo(both.hub, told.id)
    assert companies(both) == before
    assert entries(both) == known
    assert both.one("SELECT company FROM crm.contact") == loser


def test_a_merge_is_undone_whatever_others_were_merged_after_it(both: Both) -> None:
    filled(both)
    both.rounds()
    both.crm("INSERT INTO crm.company (name, siret) VALUES ('Fourth', %s), ('Fifth', %s)", *SIRETS[3:5])
    one, two, three, four = (record_of(both, siret) for siret in SIRETS[:4])
    before = companies(both)
    first, second = (merge(both.hub, "company", loser, winner, "the same firm") for loser, winner in
                     ((one, two), (three, four)))
    undo(both.hub, first.id)
    undo(both.hub, second.id)
    assert companies(both) == before
    third, fourth = (merge(both.hub, "company", loser, winner, "the same firm") for loser, winner in
                     ((one, two), (two, three)))
    with pytest.raises(ConfigurationError, match=f"{fourth.id} came after {third.id} and stands on it"):
        undo(both.hub, third.id)


def test_after_a_merge_both_sides_come_to_rest_and_the_primary_row_speaks(both: Both) -> None:
    filled(both, 2)
    both.rounds()
    loser, winner = (record_of(both, siret) for siret in SIRETS[:2])
    merge(both.hub, "company", loser, winner)
    both.rounds()
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE id = %s", winner)
    both.rounds()
    assert both.one("SELECT name FROM crm.company WHERE id = %s", winner) == "Company 2"
    assert both.erp("SELECT DISTINCT city FROM customer") == [("Lyon",)]
    before = (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal"))
    for _ in range(2):
        for flow in both.project.flows:
            both.run(flow, full=True)
            both.push(flow)
    assert (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal")) == before
    assert both.erp.one("SELECT count(*) FROM customer") == 2


def test_what_a_row_of_the_loser_said_while_merged_is_the_losers_when_that_is_undone(both: Both) -> None:
    desk = both.remade(("entities/company", "credit_limit: books", "credit_limit: {system: books, lock: false}"))
    filled(desk, 2)
    desk.rounds()
    winner, loser = (record_of(desk, siret) for siret in SIRETS[:2])
    told = merge(desk.hub, "company", loser, winner)
    desk.rounds()
    desk.crm("UPDATE crm.company SET phone = '+33141000009' WHERE id = %s", winner)
    desk.erp("UPDATE customer SET email = 'typed@x.fr' WHERE siret = %s", SIRETS[1])
    desk.books("UPDATE debtor SET credit = 77 WHERE no = (SELECT max(no) FROM debtor)")
    desk.rounds()
    undo(desk.hub, told.id)
    desk.rounds()
    assert desk.sees("SELECT id, city, phone, email, credit_limit FROM crm.company ORDER BY id") == [
        (winner, "City 1", "+33141000009", "typed@x.fr", 100), (loser, "City 2", "+33141000002", "typed@x.fr", 77)]
    assert desk.erp("SELECT city, phone, email, credit FROM customer ORDER BY id") == [
        ("City 1", "+33141000009", "typed@x.fr", 100), ("City 2", "+33141000002", "typed@x.fr", 77)]
    assert desk.books("SELECT siret, town, credit FROM debtor ORDER BY no") == [
        (SIRETS[0], "City 1", 100), (SIRETS[1], "City 2", 77)]
    assert [reconcile_flow(desk.hub, flow).totals for flow in desk.project.flows] == [{}, {}]


def open_conflicts(both: Both) -> list[tuple[Any, ...]]:
    return both.sees("SELECT key, record_id, field FROM sync.conflict WHERE state = 'open'")


def test_a_conflict_with_a_row_of_the_loser_ends_when_the_merge_is_undone(both: Both) -> None:
    filled(both, 2)
    winner, loser = (record_of(both, siret) for siret in SIRETS[:2])
    key = key_of(both, SIRETS[1])
    told = merge(both.hub, "company", loser, winner)
    both.rounds()
    both.erp("UPDATE customer SET city = 'Brest' WHERE id = %s", key)
    both.crm("UPDATE crm.company SET city = 'Metz' WHERE id = %s", winner)
    both.run("erp_companies")
    assert open_conflicts(both) == [(key, winner, "city")]
    undo(both.hub, told.id)
    assert open_conflicts(both) == []
    both.rounds()
    assert open_conflicts(both) == [(key, loser, "city")]  # the loser's own city is to go back to its row, edited since
    settle_conflict(both.hub, both.one("SELECT id FROM sync.conflict WHERE state = 'open'"), "theirs")
    both.rounds()
    assert (open_conflicts(both), reconcile_flow(both.hub, "erp_companies").totals) == ([], {})
    assert both.sees("SELECT city FROM crm.company ORDER BY id") == [("Metz",), ("Brest",)]


def test_a_conflict_with_a_row_ends_when_its_link_is_undone(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type, city) VALUES ('Ours', 'prospect', 'Nice')")
    both.erp("INSERT INTO customer (name, city) VALUES ('Theirs', 'Lyon')")
    record, key = both.one("SELECT id FROM crm.company"), str(both.erp.one("SELECT id FROM customer"))
    told = link(both.hub, "erp_companies", key, record)
    both.run("erp_companies")
    assert open_conflicts(both) == [(key, record, "city")]
    undo(both.hub, told.id)
    assert open_conflicts(both) == []


def test_sets_of_links_follow_a_merge_and_come_back(both: Both) -> None:
    ids = [row[0] for row in both.crm(
        "INSERT INTO crm.contract (number) SELECT 'C' || n FROM generate_series(1, 4) AS n RETURNING id")]
    loser, winner, first, second = ids
    for record, linked in ((first, [loser]), (second, [loser, winner]), (winner, [loser, first])):
        both.crm("UPDATE crm.contract SET contracts = %s WHERE id = %s", linked, record)
    before = both.sees("SELECT id, contracts FROM crm.contract ORDER BY id")
    told = merge(both.hub, "contract", loser, winner)
    assert both.sees("SELECT id, contracts FROM crm.contract ORDER BY id") == [
        (loser, None), (winner, [first]), (first, [winner]), (second, [winner])]
    undo(both.hub, told.id)
    assert both.sees("SELECT id, contracts FROM crm.contract ORDER BY id") == before


def test_what_cannot_be_is_refused_in_words_and_changes_nothing(both: Both) -> None:
    filled(both, 2)
    one, two = (record_of(both, siret) for siret in SIRETS[:2])
    key = key_of(both, SIRETS[0])
    before = entries(both)
    with pytest.raises(ConfigurationError, match=f"is company {one} already"):
        link(both.hub, "erp_companies", key, two)
    unread = both.erp.one("INSERT INTO customer (name) VALUES ('Not read yet') RETURNING id")
    with pytest.raises(ConfigurationError, match="there is no company 999999"):
        link(both.hub, "erp_companies", str(unread), 999_999)
    with pytest.raises(ConfigurationError, match="not linked"):
        unlink(both.hub, "erp_companies", "999")
    with pytest.raises(ConfigurationError, match="itself"):
        merge(both.hub, "company", one, one)
    with flow_lock(both.hub, "erp_companies"), pytest.raises(RetryLater):
        merge(both.hub, "company", one, two)
    first, second = unlink(both.hub, "erp_companies", key), link(both.hub, "erp_companies", key, two)
    with pytest.raises(ConfigurationError, match="stands on it"):
        undo(both.hub, first.id)
    undo(both.hub, second.id)
    undo(both.hub, first.id)
    with pytest.raises(ConfigurationError, match="undone already"):
        undo(both.hub, first.id)
    assert entries(both) == before


def test_a_command_waits_for_a_run_that_is_under_way_and_says_so_beside_its_answer(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    monkeypatch.setattr(patience, "MOMENT", 0.01)
    filled(both, 1)
    unlinking = ["unlink", "erp_companies", key_of(both, SIRETS[0]), "--json"]
    with flow_lock(both.hub, "erp_companies"), monkeypatch.context() as hurried:
        hurried.setattr(patience, "LONGEST", 0.1)
        vain = CliRunner().invoke(app, unlinking)
    assert (vain.exit_code, orjson.loads(vain.stdout)["error"]) == (4, "another run of this flow is under way")
    assert vain.stderr == "flow erp_companies: another run of it is under way; waiting for it to end\n"
    with ThreadPoolExecutor(1) as pool:
        with flow_lock(both.hub, "erp_companies"):
            asked = pool.submit(CliRunner().invoke, app, unlinking)
            while not both.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                assert not asked.done()
        done = asked.result()
    assert (done.exit_code, orjson.loads(done.stdout)["what"]) == (0, "unlink")


def test_two_who_need_the_same_flows_have_them_one_after_the_other(both: Both) -> None:
    filled(both, 4)
    pairs = [[record_of(both, siret) for siret in SIRETS[at : at + 2]] for at in (0, 2)]

    def merging(loser: int, winner: int) -> None:
        with patient(lambda _: None):
            merge(both.hub, "company", loser, winner)

    with ThreadPoolExecutor(2) as pool:
        with flow_lock(both.hub, "erp_companies"):
            asked = [pool.submit(merging, *pair) for pair in pairs]
            while len(both.sees("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")) < 2:
                assert not any(one.done() for one in asked)
        for one in asked:
            one.result()
    assert both.one("SELECT count(*) FROM crm.company WHERE archived_at IS NOT NULL") == 2


def test_crm_applications_cannot_touch_what_was_noted(both: Both) -> None:
    filled(both, 1)
    unlink(both.hub, "erp_companies", key_of(both, SIRETS[0]))
    for statement in ("UPDATE sync.mending SET by = 'x'", "DELETE FROM sync.mending",
                      "SELECT sync.restore_entries('company', '[]')",
                      "INSERT INTO sync.mending (what, by, entity, record_id, before) VALUES ('link','x','x',1,'{}')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            both.crm(statement)
    assert [one.what for one in mended(both.hub)] == ["unlink"]


def test_the_commands_do_it_and_tell_how_to_undo_it(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    filled(both, 2)
    one, two = (record_of(both, siret) for siret in SIRETS[:2])
    key = key_of(both, SIRETS[0])

    def said(*words: str) -> Any:
        return orjson.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)

    assert said("unlink", "erp_companies", key)["what"] == "unlink"
    assert said("link", "erp_companies", key, str(one))["record_id"] == one
    number = said("merge", "company", str(one), str(two), "--why", "twice")["id"]
    shown = CliRunner().invoke(app, ["undo", str(number)])
    assert f"company {one} merged into {two} (undone by" in shown.stdout
    listed = CliRunner().invoke(app, ["undo"])
    assert "twice" in listed.stdout
    assert CliRunner().invoke(app, ["link", "erp_companies", "999", "999999"]).exit_code == 1
    assert [row["what"] for row in said("undo")["mended"]] == ["merge", "link", "unlink"]
