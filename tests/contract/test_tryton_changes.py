"""What Tryton tells of changes: its log of deletions, and rows that are listed before they are read."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from connectors.remote import Key, Position, RemoteSource, Resource
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from tests.contract.remote_suite import end_of
from tests.contract.test_tryton import CATEGORY, PARTY, in_database, made, remote

__all__ = ["remote"]
pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up


# what was deleted

def test_deleted_rows_are_gone_with_the_next_read(remote: TrytonRemote, others: Session) -> None:
    exact = replace(PARTY, overlap=0.0)
    keys = made(remote, PARTY, *({"name": f"n° {number}"} for number in range(120)))  # ids of one, two and three digits
    for key in keys[:2]:
        others.write("model.party.party.delete", [int(key[0])])
    position = end_of(remote.read(exact, None))
    deleted = [*keys[3:9], keys[50], *keys[100:]]
    others.write("model.party.party.delete", [int(key[0]) for key in deleted])
    made(remote, PARTY, {"name": "one more"})
    source = remote.read(exact, position)
    assert source.gone == ()
    after = end_of(source)
    assert sorted(source.gone) == sorted([keys[1], *deleted]), "the one with the stamp of the position again, none older"
    others.write("model.party.party.delete", [int(keys[2][0])])
    again = remote.read(exact, Position(json.loads(json.dumps(dict(after.mark)))))
    end_of(again)
    assert sorted(again.gone) == sorted([keys[2], *deleted])


def test_a_read_of_everything_tells_nothing_as_gone(remote: TrytonRemote, others: Session) -> None:
    [key] = made(remote, CATEGORY, {"name": "short-lived"})
    others.write("model.product.category.delete", [int(key[0])])
    source = remote.read(CATEGORY, None)
    end_of(source)
    assert source.gone == ()


def test_deletions_of_other_models_are_not_ours(remote: TrytonRemote, others: Session) -> None:
    position = end_of(remote.read(CATEGORY, None))
    [key] = made(remote, PARTY, {"name": "not a category"})
    others.write("model.party.party.delete", [int(key[0])])
    source = remote.read(CATEGORY, position)
    end_of(source)
    assert key not in source.gone


def test_a_number_that_was_given_again_is_not_gone(remote: TrytonRemote, others: Session, tryton: TrytonServer) -> None:
    [key, _] = made(remote, CATEGORY, {"name": "first"}, {"name": "beside"})
    position = end_of(remote.read(CATEGORY, None))
    others.write("model.product.category.delete", [int(key[0])])
    in_database(tryton, "INSERT INTO product_category (id, name) VALUES (?, 'second')", int(key[0]))
    source = remote.read(CATEGORY, position)
    end_of(source)
    assert key not in source.gone


def test_who_is_no_administrator_is_told_of_no_deletion_and_of_that(
    tryton: TrytonServer, others: Session, another: Session, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.tryton.deleted.REFUSED", 0.0)
    groups = another.read("model.res.group.search", [], 0, None, None)
    assert len(others.read("model.res.user.read", [another.user], ["groups"])[0]["groups"]) == len(groups) > 0

    def told(since: Position | None) -> TrytonRemote:
        remote = open_tryton(another.settings)
        source = remote.read(CATEGORY, since)
        end_of(source)
        position.append(source.position)
        assert (source.gone, source.notices) == ((), {} if since is None else {"deletions": {}})
        return remote

    position: list[Position] = []
    [key] = others.write("model.product.category.create", [{"name": "deleted"}])
    told(None).close()
    others.write("model.product.category.delete", [key])
    for _ in range(2):
        remote = told(position[-1])
    assert len([one for one in caplog.messages if "to administrators only" in one]) == 1, "once in a process"
    others.write("model.res.user.write", [another.user], {"administrator": True})
    try:
        source = remote.read(CATEGORY, position[-1])
        end_of(source)
        assert ((str(key),) in source.gone, source.notices) == (True, {})
    finally:
        others.write("model.res.user.write", [another.user], {"administrator": False})
        remote.close()


# what changed

@pytest.mark.parametrize("listed", [5_000, 2])
def test_rows_that_are_known_are_not_read_again_until_they_change(
        remote: TrytonRemote, others: Session, monkeypatch: pytest.MonkeyPatch, listed: int) -> None:
    monkeypatch.setattr("connectors.tryton.reading.LISTED", listed)  # some are listed at once
    position = end_of(remote.read(PARTY, None))
    keys = made(remote, PARTY, *({"name": f"known {number}"} for number in range(4)))
    seen: set[object] = set()

    def news() -> list[tuple[str, str]]:
        rows = []
        for page in remote.read(PARTY, position, seen.__contains__).pages():
            seen.update(page.states)
            rows += [(key, name) for key, name in zip(page.frame["id"], page.frame["name"], strict=True)
                     if (key,) in keys]
        return rows

    every = [(key, f"known {number}") for number, (key,) in enumerate(keys)]
    assert sorted(news()) == sorted(every)
    assert news() == []
    others.write("model.party.party.write", [int(keys[2][0])], {"name": "edited"})
    assert (keys[2][0], "edited") in news()
    seen.update(remote.fetch(PARTY, keys).states)
    assert news() == []


@pytest.mark.parametrize("listed", [5_000, 2])
def test_of_several_rows_with_one_key_all_that_changed_are_read_or_none(
        remote: TrytonRemote, others: Session, monkeypatch: pytest.MonkeyPatch, listed: int) -> None:
    monkeypatch.setattr("connectors.tryton.reading.LISTED", listed)
    codes = Resource("party.identifier", ("party.code", "type"), ("party.code", "type", "code"))
    seen = set[object]()
    two, other = made(remote, PARTY, {"name": "of two numbers", "code": f"B{listed}"},
                      {"name": "of another", "code": f"A{listed}"})

    def number(party: Key, code: str) -> int:
        [made] = others.write("model.party.identifier.create", [{"party": int(party[0]), "type": None, "code": code}])
        return int(made)

    position = Position({"stamp": max(end_of(remote.read(PARTY, None)).mark.values())})
    first, _, _ = number(two, "one"), number(other, "else"), number(two, "two")

    def news() -> list[list[str]]:
        pages = list(remote.read(codes, position, seen.__contains__).pages())
        seen.update(state for page in pages for state in page.states)
        return [[code for code, party in zip(page.frame["code"], page.frame["party.code"], strict=True)
                 if party.endswith(str(listed))] for page in pages]

    assert news() == [["one", "else", "two"]]
    assert news() == []
    others.write("model.party.identifier.write", [first], {"code": "edited"})
    assert news() == [["edited", "two"]]
    assert news() == []


def test_a_read_of_changes_without_news_by_another_key_lists_what_changed_and_no_more(
        remote: TrytonRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    coded, calls = replace(PARTY, key=("code",)), list[str]()
    position = end_of(remote.read(coded, None))
    made(remote, PARTY, *({"name": f"edited {number}"} for number in range(20)))
    seen = {state for page in remote.read(coded, position).pages() for state in page.states}
    call = Session.read
    monkeypatch.setattr(Session, "read", lambda self, method, *rest, **more: calls.append(method) or call(
        self, method, *rest, **more))
    assert list(remote.read(coded, position, seen.__contains__).pages()) == []
    assert calls == ["model.party.party.search_read"]


def test_a_read_of_changes_without_news_lists_what_changed_and_what_was_deleted(
        remote: TrytonRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    made(remote, CATEGORY, {"name": "as it was"})
    position, calls = end_of(remote.read(CATEGORY, None)), list[str]()
    call = Session.read
    monkeypatch.setattr(Session, "read", lambda self, method, *rest, **more: calls.append(method) or call(
        self, method, *rest, **more))
    seen = {state for page in remote.read(CATEGORY, position).pages() for state in page.states}
    calls.clear()
    source = remote.read(CATEGORY, position, seen.__contains__)
    assert [len(page) for page in source.pages()] == []
    assert calls[:2] == ["model.product.category.search_read", "model.ir.model.log.search_read"]
    assert not any(call.endswith(".read") for call in calls), calls
    assert source.position == position


# stamps in the future

def tomorrow(server: TrytonServer, table: str, column: str, number: str) -> None:
    """As a server whose clock has jumped stamps a row."""
    in_database(server, f"UPDATE {table} SET {column} = strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 day') "
                        "WHERE id = ?", number)


def ids_of(source: RemoteSource) -> set[str]:
    return {number for page in source.pages() for number in page.frame["id"]}


@pytest.mark.parametrize("listed", [5_000, 2])
def test_a_stamp_in_the_future_hides_no_later_change(
        remote: TrytonRemote, others: Session, tryton: TrytonServer, monkeypatch: pytest.MonkeyPatch, listed: int) -> None:
    monkeypatch.setattr("connectors.tryton.reading.LISTED", listed)
    jumped, other = made(remote, PARTY, {"name": "of tomorrow"}, {"name": "of today"})
    position = end_of(remote.read(PARTY, None))
    tomorrow(tryton, "party_party", "write_date", jumped[0])
    for since in (position, None):
        after = end_of(remote.read(PARTY, since))
        others.write("model.party.party.write", [int(other[0])], {"name": f"edited after {since}"})
        assert {jumped[0], other[0]} <= ids_of(remote.read(PARTY, after))
    in_database(tryton, "UPDATE party_party SET write_date = NULL WHERE id = ?", jumped[0])


def test_a_deletion_in_the_future_hides_no_later_one(
        remote: TrytonRemote, others: Session, tryton: TrytonServer) -> None:
    first, second, third = made(remote, CATEGORY, *({"name": f"deleted {number}"} for number in range(3)))
    others.write("model.product.category.delete", [int(first[0])])
    [[entry]] = in_database(tryton, "SELECT max(id) FROM ir_model_log WHERE event = 'delete'")
    tomorrow(tryton, "ir_model_log", "create_date", str(entry))
    position = end_of(remote.read(CATEGORY, None))
    for key in (second, third):
        others.write("model.product.category.delete", [int(key[0])])
        source = remote.read(CATEGORY, position)
        position = end_of(source)
        assert {first, key} <= set(source.gone)
    in_database(tryton, "DELETE FROM ir_model_log WHERE id = ?", entry)


def test_a_position_in_the_future_reads_everything_once_and_says_so(remote: TrytonRemote, others: Session) -> None:
    kept, gone = made(remote, CATEGORY, {"name": "kept"}, {"name": "passed over"})
    others.write("model.product.category.delete", [int(gone[0])])
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    source = remote.read(CATEGORY, Position({"stamp": ahead, "deleted": ahead}))
    assert kept[0] in ids_of(source)
    assert source.notices == {"ahead": {}}
    assert gone in source.gone
    assert max(source.position.mark.values()) < ahead
    again = remote.read(CATEGORY, source.position)
    end_of(again)
    assert again.notices == {}
