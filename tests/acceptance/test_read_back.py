"""What is read back after a write, exactly as it had to be, takes no run; and whatever else it holds is looked at."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.memory_desk import Three, module_three, siret, three
from tests.memory_systems import MemoryRemote

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def taken_in(three: Three) -> tuple[Any, ...]:
    """Of the only row of erp: whether it is as last applied, what was sent and not read again, its order mark."""
    return three.sees("SELECT x.fingerprint IS NOT NULL, x.sent, x.mark, x.pending FROM sync.crosswalk_company x"
                      " JOIN sync.feed f ON f.id = x.feed WHERE f.flow = 'erp'")[0]


def read_back(three: Three) -> int:
    return int(three.one("SELECT count(*) FROM sync.run WHERE trigger = 'readback'"))


def known(three: Three) -> str:
    """A row of erp that the session knows by its version; returns its key."""
    key = three.systems["erp"].insert(name="Atelier", siret=siret(1), city="Lyon")
    three.read("erp")
    three.crm("UPDATE crm.company SET email = 'a@example.org'")
    three.push_again("erp")  # reads it first
    return key


def test_what_is_read_back_as_it_had_to_be_takes_no_run(three: Three) -> None:
    key = known(three)
    before = read_back(three)
    three.crm("UPDATE crm.company SET email = 'b@example.org'")
    three.push_again("erp")
    row = three.systems["erp"].rows[key]
    assert (row["email"], read_back(three)) == ("b@example.org", before)
    assert taken_in(three) == (True, None, int(row["rev"]) * 10**6, None)
    three.systems["erp"].repeats = True  # older than what was read back
    three.read("erp")
    assert three.crm("SELECT email FROM crm.company") == [("b@example.org",)]
    three.systems["erp"].edit(key, email="there@example.org")
    three.read("erp")
    assert three.crm("SELECT email FROM crm.company") == [("there@example.org",)]


def test_what_the_system_cut_or_somebody_edited_behind_our_write_goes_down_the_road(three: Three) -> None:
    key = known(three)
    one = three.systems["erp"]
    before = read_back(three)
    three.crm("UPDATE crm.company SET segment_note = 'a rather long note'")
    three.push_again("erp")
    assert read_back(three) == before + 1
    assert (one.rows[key]["note"], three.one("SELECT segment_note FROM crm.company")) == (
        "a rather l", "a rather long note")
    one.afterwards = lambda: one.edit(key, city="Metz")
    three.crm("UPDATE crm.company SET email = 'c@example.org'")
    three.push_again("erp")
    assert three.crm("SELECT email, city FROM crm.company") == [("c@example.org", "Metz")]
    assert read_back(three) == before + 2


@pytest.mark.parametrize("tells_writers", [True, False])
def test_an_edit_behind_our_write_is_no_echo_of_it_where_the_system_says_who_wrote(three: Three, tells_writers: bool
                                                                                  ) -> None:
    key = known(three)
    one = three.systems["erp"]
    one.tells_writers = tells_writers
    one.afterwards = lambda: one.edit(key, email="there@example.org", note="a rather s")
    three.crm("UPDATE crm.company SET email = 'c@example.org', segment_note = 'a rather short note'")
    three.push_again("erp")
    assert three.crm("SELECT email, segment_note FROM crm.company") == [
        ("there@example.org" if tells_writers else "c@example.org", "a rather short note")]
    three.rest()
    assert three.one("SELECT count(*) FROM sync.crosswalk_company WHERE pending IS NOT NULL OR sent IS NOT NULL") == 0


def test_who_changes_the_record_just_now_is_waited_for(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the row would be as last applied, and the change nothing that the next reading has to look at."""
    key = known(three)
    one, fetch = three.systems["erp"], MemoryRemote.fetch
    with three.store.connect(three.store.roles.hub) as user, ThreadPoolExecutor(1) as pool:

        def fetched(remote: MemoryRemote, *asked: Any) -> Any:
            user.execute("UPDATE crm.company SET name = 'Not the master''s'")
            return fetch(remote, *asked)

        three.crm("UPDATE crm.company SET email = 'g@example.org'")
        with monkeypatch.context() as patched:
            patched.setattr(MemoryRemote, "fetch", fetched)
            pushed = pool.submit(three.push_again, "erp")
            for _ in range(600):
                if pushed.done() or three.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                              " AND datname = current_database()"):
                    break
                time.sleep(0.05)
            assert not pushed.done()
            user.commit()
            assert pushed.result() is not None
    assert three.one("SELECT name FROM crm.company") == "Atelier"
    assert (one.rows[key]["name"], one.rows[key]["email"]) == ("Atelier", "g@example.org")


@pytest.mark.parametrize("column", ["email", "name"])
def test_what_somebody_edits_here_while_it_is_read_back_is_looked_at(three: Three, column: str) -> None:
    """A field that is sent, and one that the system masters: as last applied it would not be put right."""
    key = known(three)
    one = three.systems["erp"]
    one.afterwards = lambda: three.sees(f"UPDATE crm.company SET {column} = 'between@example.org'")
    three.crm("UPDATE crm.company SET email = 'd@example.org'")
    three.push_again("erp")
    assert three.one("SELECT name FROM crm.company") == "Atelier"
    three.rest()
    assert (one.rows[key]["email"], one.rows[key]["name"]) == (
        ("between@example.org", "Atelier") if column == "email" else ("d@example.org", "Atelier"))
    assert three.differences() == []
