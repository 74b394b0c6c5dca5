"""Both ways with real databases: who wins, what is sent, and that it comes to rest."""

from __future__ import annotations

import pytest

from mappings.errors import ConfigurationError
from pipelines.ops.export import export_held
from pipelines.ops.mending import link
from pipelines.ops.outgoing import outgoing, queue_everything
from pipelines.runs.pushing import push_flow
from pipelines.runs.standing import pause, resume
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]


def filled(both: Both, count: int = 3) -> None:
    for number, siret in enumerate(SIRETS[:count], 1):
        both.erp("INSERT INTO customer (name, siret, city, phone, credit) VALUES (%s, %s, %s, %s, %s)",
                 f"Company {number}", siret, f"City {number}", f"+3314100000{number}", 100 * number)
    both.run("erp_companies")


def test_what_is_read_is_not_sent_back(both: Both) -> None:
    filled(both)
    assert both.run("erp_companies").total("unchanged") == 3
    assert both.push("erp_companies").as_json()["updated"] == 0
    assert both.erp.writes() == 3


def test_an_edit_of_a_shared_field_reaches_the_system_once(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    assert both.outbox() == [("waiting", "")] * len(both.outbox())
    assert both.push("erp_companies").counts["updated"] == 1
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Lyon"
    before = both.erp.writes()
    both.rounds()
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Lyon"
    assert both.erp.writes() == before
    assert both.outbox() == []


def test_a_value_that_the_system_cuts_is_sent_once_and_stays_whole_here(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot' WHERE siret = %s", SIRETS[0])
    both.push("erp_companies")
    before = both.erp.writes()
    both.rounds(2)
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Villeneuve"
    assert both.one("SELECT city FROM crm.company WHERE siret = %s", SIRETS[0]) == "Villeneuve-sur-Lot"
    assert both.erp.writes() == before


def test_a_change_there_of_a_cut_value_comes_in(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot' WHERE siret = %s", SIRETS[0])
    both.push("erp_companies")
    both.erp("UPDATE customer SET city = 'Agen' WHERE siret = %s", SIRETS[0])
    both.run("erp_companies")
    assert both.one("SELECT city FROM crm.company WHERE siret = %s", SIRETS[0]) == "Agen"


def test_a_change_from_one_system_reaches_the_other_through_the_crm(both: Both) -> None:
    filled(both)
    both.rounds()
    assert both.books.one("SELECT count(*) FROM debtor") == 3
    both.erp("UPDATE customer SET name = 'Renamed', city = 'Metz' WHERE siret = %s", SIRETS[1])
    both.books("UPDATE debtor SET credit = 777 WHERE siret = %s", SIRETS[1])
    both.rounds(2)
    assert both.books("SELECT label, town FROM debtor WHERE siret = %s", SIRETS[1]) == [("Renamed", "Metz")]
    assert both.erp.one("SELECT credit FROM customer WHERE siret = %s", SIRETS[1]) == 777


def test_when_nobody_edits_a_second_pass_writes_nothing_anywhere(both: Both) -> None:
    filled(both)
    both.rounds()
    before = (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal"))
    both.rounds(2)
    for flow in both.project.flows:
        both.run(flow, full=True)
        both.push(flow)
    assert (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal")) == before


def test_a_field_of_another_master_is_put_right_there(both: Both) -> None:
    filled(both)
    both.rounds()
    both.books("UPDATE debtor SET label = 'Wrong' WHERE siret = %s", SIRETS[0])
    both.rounds(2)
    assert both.books.one("SELECT label FROM debtor WHERE siret = %s", SIRETS[0]) == "Company 1"
    assert both.one("SELECT name FROM crm.company WHERE siret = %s", SIRETS[0]) == "Company 1"


def test_a_conflict_is_settled_by_its_policy_and_the_loser_is_kept(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET phone = '+33141000099', email = 'crm@example.org' WHERE siret = %s", SIRETS[0])
    both.erp("UPDATE customer SET phone = '+33141000088', email = 'erp@example.org' WHERE siret = %s", SIRETS[0])
    both.run("erp_companies")
    both.push("erp_companies")
    sides = both.sees("SELECT phone, email FROM crm.company WHERE siret = %s", SIRETS[0])
    assert sides == [("+33141000099", "erp@example.org")]
    assert both.erp("SELECT phone, email FROM customer WHERE siret = %s", SIRETS[0]) == sides
    lost = both.sees("SELECT field, winner, ours, theirs FROM sync.conflict ORDER BY field")
    assert [(row[0], row[1]) for row in lost] == [("email", "remote"), ("phone", "crm")]


def test_a_conflict_that_waits_for_a_person_sends_nothing(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET city = 'Here' WHERE siret = %s", SIRETS[0])
    both.erp("UPDATE customer SET city = 'There' WHERE siret = %s", SIRETS[0])
    both.rounds(2)
    assert both.one("SELECT city FROM crm.company WHERE siret = %s", SIRETS[0]) == "Here"
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "There"
    assert both.one("SELECT count(*) FROM sync.conflict WHERE state = 'open' AND field = 'city'") == 1


def test_a_new_record_is_made_there_once_and_carries_our_id(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, siret, type, city) VALUES ('New', %s, 'customer', 'Nice')", SIRETS[0])
    assert both.push("erp_companies").counts["created"] == 1
    number = both.one("SELECT id FROM crm.company")
    assert both.erp("SELECT name, city, external_ref FROM customer") == [("New", "Nice", str(number))]
    both.rounds(2)
    assert both.erp.one("SELECT count(*) FROM customer") == 1
    assert both.books.one("SELECT count(*) FROM debtor") == 1
    assert both.one("SELECT count(*) FROM crm.company") == 1


def test_what_the_system_fills_in_on_a_row_that_it_makes_comes_in(both: Both) -> None:
    both.erp("ALTER TABLE customer ALTER website SET DEFAULT 'https://given.example', ALTER credit SET DEFAULT 500")
    both.crm("INSERT INTO crm.company (name, siret, type) VALUES ('New', %s, 'customer')", SIRETS[0])
    both.push("erp_companies")
    both.run("erp_companies")
    assert both.one("SELECT website FROM crm.company") == "https://given.example"
    before = both.erp.writes()
    both.rounds(2)
    assert both.erp.one("SELECT website FROM customer") == "https://given.example"
    assert both.erp.writes() == before


def test_what_somebody_changes_there_behind_our_write_comes_in(both: Both) -> None:
    filled(both)
    both.rounds(1)
    both.erp("""CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.city IS DISTINCT FROM old.city THEN new.email := 'meanwhile@example.org'; END IF; RETURN new; END $$;
        CREATE TRIGGER meanwhile BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION meanwhile()""")
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    both.push("erp_companies")
    both.rounds(2)
    assert both.one("SELECT email FROM crm.company WHERE siret = %s", SIRETS[0]) == "meanwhile@example.org"
    assert both.erp.one("SELECT email FROM customer WHERE siret = %s", SIRETS[0]) == "meanwhile@example.org"
    assert both.outbox() == []


def test_what_when_leaves_out_is_not_sent(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type) VALUES ('Prospect', 'prospect')")
    both.push("erp_companies")
    assert both.erp.one("SELECT count(*) FROM customer") == 0
    both.crm("UPDATE crm.company SET type = 'customer'")
    assert both.push("erp_companies").counts["created"] == 1


def test_parents_are_made_before_their_children(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type) VALUES ('Child', 'customer'), ('Parent', 'customer')")
    both.crm("UPDATE crm.company SET parent = (SELECT id FROM crm.company WHERE name = 'Parent') WHERE name = 'Child'")
    assert both.push("erp_companies").counts["created"] == 2
    assert both.erp("SELECT c.name, p.name FROM customer c JOIN customer p ON p.id = c.parent_id") == [
        ("Child", "Parent")]
    assert both.outbox() == [("waiting", "")] * 2  # of the other system, which was not sent to


def test_one_bad_record_does_not_keep_the_others_and_says_why(both: Both) -> None:
    names = ["Good 1", "Good 2", "FORBIDDEN", "Good 3", "Good 4"]
    for name in names:
        both.crm("INSERT INTO crm.company (name, type) VALUES (%s, 'customer')", name)
    result = both.push("erp_companies")
    assert (result.counts["created"], result.counts["refused"]) == (4, 1)
    assert both.erp.one("SELECT count(*) FROM customer") == 4
    why = both.one("SELECT why->>'message' FROM sync.outbox WHERE state = 'refused'")
    assert "this name is not allowed here" in why
    both.crm("UPDATE crm.company SET name = 'Allowed' WHERE name = 'FORBIDDEN'")
    assert both.push("erp_companies").counts["created"] == 1


def test_what_a_rule_there_keeps_our_login_from_is_tried_again_once_it_may(both: Both) -> None:
    for city in ("Lyon", "Brest"):
        both.crm("INSERT INTO crm.company (name, type, city) VALUES (%s, 'customer', %s)", city, city)
    both.erp("CREATE POLICY all_of_it ON customer USING (true) WITH CHECK (city <> 'Brest')")
    both.erp("ALTER TABLE customer ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    refused = both.push("erp_companies").counts
    assert (refused["created"], refused["refused"]) == (1, 1)
    assert ("refused", "not_able") in both.outbox()
    both.erp("ALTER TABLE customer DISABLE ROW LEVEL SECURITY")
    assert both.push("erp_companies").counts["created"] == 1


def test_far_more_than_usual_is_not_sent_and_asks(both: Both) -> None:
    both.erp("INSERT INTO customer (name, city) SELECT 'C' || n, 'X' FROM generate_series(1, 30) n")
    both.run("erp_companies")
    both.change_flow("erp", "write:", "guard: {updates: 20%}\nwrite:")
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    asked = both.push("erp_companies")
    assert (asked.exit_code, [trip.what for trip in asked.tripped]) == (3, ["updates"])
    assert both.erp.one("SELECT count(*) FROM customer WHERE city = 'Lyon'") == 0
    assert push_flow(both.hub, "erp_companies", approved=True).counts["updated"] == 30
    assert both.erp.one("SELECT count(*) FROM customer WHERE city = 'Lyon'") == 30


def test_a_row_is_written_whole_where_the_system_wipes_what_is_left_out(both: Both) -> None:
    both.erp("INSERT INTO customer (name, city, email) VALUES ('C', 'X', 'a@example.org')")
    both.run("erp_companies")
    both.change_flow("erp", "write: {", "write: {mode: replace, ")
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    both.push("erp_companies")
    (sent,) = both.sees("SELECT values FROM sync.intent WHERE operation = 'update'")
    assert (sent[0]["city"], sent[0]["email"], sent[0]["name"]) == ("Lyon", "a@example.org", "C")
    assert "id" not in sent[0]


def test_a_flow_writes_no_more_rows_at_once_than_it_says(both: Both) -> None:
    both.change_flow("erp", "write: {", "write: {batch: 2, ")
    for number in range(5):
        both.crm("INSERT INTO crm.company (name, type) VALUES (%s, 'customer')", f"C{number}")
    assert both.push("erp_companies").counts["created"] == 5
    transactions = "SELECT count(DISTINCT xmin::text) FROM customer"
    assert both.erp.one(transactions) == 3


def test_a_system_that_is_filled_for_the_first_time_gets_every_record(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, type) SELECT 'C' || n, 'customer' FROM generate_series(1, 7) n")
    with both.store.connect(both.store.roles.hub, autocommit=True) as hub:
        hub.execute("DELETE FROM sync.outbox")  # as if they had been there before the flow was written
    assert queue_everything(both.hub, "erp_companies") == 7
    assert both.push("erp_companies").counts["created"] == 7
    assert queue_everything(both.hub, "erp_companies") == 7
    assert both.push("erp_companies").counts["unchanged"] == 7


def test_what_was_refused_waits_anew_once_it_was_put_right_there(both: Both) -> None:
    filled(both)
    both.erp("CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF old.note = 'frozen' AND new.city IS DISTINCT FROM old.city THEN RAISE EXCEPTION 'frozen'; END IF;"
             " RETURN new; END $$")
    both.erp("CREATE TRIGGER a_frozen BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION frozen()")
    both.erp("UPDATE customer SET note = 'frozen', email = 'a@example.org' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET segment_note = 'frozen' WHERE siret = %s", SIRETS[0])
    both.rounds(2)
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    for _ in range(3):  # nobody has changed anything: it is not tried again and again
        both.run("erp_companies")
        both.push("erp_companies")
    refusals = "SELECT count(*) FROM sync.intent WHERE state = 'refused'"
    assert (both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]), both.one(refusals)) == ("City 1", 1)
    both.erp("UPDATE customer SET note = NULL, email = 'b@example.org' WHERE siret = %s", SIRETS[0])
    both.run("erp_companies")
    both.push("erp_companies")
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Lyon"
    assert "refused" not in dict(both.outbox())


def test_a_refusal_ends_where_the_row_there_won(both: Both) -> None:
    filled(both)
    both.rounds(2)
    both.erp("ALTER TABLE customer ADD CHECK (email <> 'bad@example.org')")
    both.crm("UPDATE crm.company SET email = 'bad@example.org' WHERE siret = %s", SIRETS[0])
    assert both.push("erp_companies").counts["refused"] == 1
    both.erp("UPDATE customer SET email = 'good@example.org' WHERE siret = %s", SIRETS[0])
    both.run("erp_companies")
    assert "refused" not in dict(both.outbox())
    assert both.push("erp_companies").counts["refused"] == 0
    assert outgoing(both.hub, "erp_companies") == []
    assert both.one("SELECT email FROM crm.company WHERE siret = %s", SIRETS[0]) == "good@example.org"


def test_what_the_login_could_not_do_goes_with_the_next_push_once_it_can(both: Both) -> None:
    filled(both, 1)
    both.erp("REVOKE UPDATE ON customer FROM CURRENT_USER")
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    for _ in range(2):
        assert both.push("erp_companies").counts["refused"] == 1
    (kept,) = outgoing(both.hub, "erp_companies")
    assert (kept.state, kept.why) == ("refused", "the system cannot update here")
    both.erp("GRANT UPDATE ON customer TO CURRENT_USER")
    assert both.push("erp_companies").counts["updated"] == 1
    assert (both.erp.one("SELECT city FROM customer"), outgoing(both.hub, "erp_companies")) == ("Lyon", [])


def test_an_export_of_what_a_system_answered_is_a_list_to_look_at(both: Both) -> None:
    both.erp("INSERT INTO customer (name, siret) VALUES ('Wrong', '123')")
    assert both.run("erp_companies").total("rejected") == 1
    (written,) = export_held(both.hub, "erp_companies", both.root / "list.csv")
    assert "Wrong" in written.path.read_text("utf-8")
    assert written.notes == ("this is a list to look at: what erp says is put right there, and read again by itself",)


def test_a_record_whose_number_there_was_given_already_waits_and_is_made_by_itself(both: Both) -> None:
    """Their copy was restored, and its sequence was not; then somebody mends that."""
    both.erp("INSERT INTO customer (name) SELECT 'C' || n FROM generate_series(1, 30) n")
    both.run("erp_companies")
    both.erp("SELECT setval(pg_get_serial_sequence('customer', 'id'), 100, false)")
    both.crm("INSERT INTO crm.company (name, type) VALUES ('New 1', 'customer'), ('New 2', 'customer')")
    assert both.push("erp_companies").counts["waiting"] == 2
    kept = outgoing(both.hub, "erp_companies")
    assert {(one.state, one.code, "duplicate key" in one.why) for one in kept} == {("waiting", "23505", True)}
    assert len(kept) == 2
    both.erp("SELECT setval(pg_get_serial_sequence('customer', 'id'), (SELECT max(id) FROM customer))")
    resume(both.hub, "erp")  # what waits is due
    assert both.push("erp_companies").counts["created"] == 2
    assert (both.erp.one("SELECT count(*) FROM customer"), outgoing(both.hub, "erp_companies")) == (32, [])


def test_what_nothing_tells_how_to_do_is_no_push(both: Both) -> None:
    filled(both, 1)
    both.change_flow("erp", "write: {", "write: {archived: archive, ")
    both.crm("UPDATE crm.company SET archived_at = now()")
    with pytest.raises(ConfigurationError, match=r"systems\.erp\.archived\.customer"):
        both.push("erp_companies")


def test_a_key_that_the_system_does_not_have_is_linked_to_nothing_while_it_can_be_asked(both: Both) -> None:
    filled(both, 1)
    record = both.one("SELECT id FROM crm.company")
    with pytest.raises(ConfigurationError, match="erp has no row '999'"):
        link(both.hub, "erp_companies", "999", record)
    with pytest.raises(ConfigurationError, match="no key of this flow"):
        link(both.hub, "erp_companies", "9|9", record)
    there = both.erp.one("INSERT INTO customer (name) VALUES ('Not read yet') RETURNING id")
    assert link(both.hub, "erp_companies", str(there), record).record_id == record
    pause(both.hub, "erp", "moving")
    assert link(both.hub, "erp_companies", "999", record).key == "999"
