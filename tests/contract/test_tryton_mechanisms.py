"""A party's first phone is written over only where it is the one that was read: no version of the party tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from connectors.remote import Change, Key, Receipt, Resource
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

PARTY = Resource("party.party", ("id",), ("id", "name", "phone"), version="_timestamp")
MECHANISM = "model.party.contact_mechanism"


@pytest.fixture
def remote(tryton: TrytonServer) -> Iterator[TrytonRemote]:
    remote = open_tryton(tryton.settings())
    yield remote
    remote.close()


def called(others: Session, *phones: Mapping[str, Any]) -> tuple[Key, list[int]]:
    """A party with these phones, in this order; its key, and the ids of the phones."""
    [party] = others.write("model.party.party.create", [{"name": "Called"}])
    return (str(party),), others.write(f"{MECHANISM}.create", [{"party": party, "type": "phone", **one} for one in phones])


def phones(others: Session, key: Key) -> list[str]:
    """As Tryton orders them."""
    rows = others.read(f"{MECHANISM}.search_read", [["party", "=", int(key[0])]], 0, None, None, ["value"])
    return [row["value"] for row in rows]


def written(remote: TrytonRemote, *asked: tuple[Key, str, str]) -> list[Receipt]:
    """Writes phones (key, new, old) in one call."""
    return list(remote.write(PARTY, [Change("update", key, {"phone": new}, expected={"phone": old}) for key, new, old in asked]))


def test_where_another_value_is_first_by_now_the_write_is_stale_and_the_others_are_done(
        remote: TrytonRemote, others: Session) -> None:
    [key, [first, second]], [other, _] = called(others, {"value": "1"}, {"value": "2"}), called(others, {"value": "3"})
    others.write(f"{MECHANISM}.write", [first], {"sequence": 20}, [second], {"sequence": 10})
    said = written(remote, (key, "9", "1"), (other, "8", "3"))
    assert [receipt.state for receipt in said] == ["stale", "delivered"]
    assert (phones(others, key), phones(others, other)) == (["2", "1"], ["8"])
    assert written(remote, (key, "", "1"))[0].state == "stale", "nor is another ended"
    assert written(remote, (key, "9", "2"))[0].state == "delivered"
    assert phones(others, key) == ["9", "1"]


def test_what_is_saved_at_the_last_moment_is_told_by_the_versions(
        remote: TrytonRemote, others: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    [key, [first]], [other, _] = called(others, {"value": "1"}), called(others, {"value": "3"})
    write = remote.session.write

    def late(method: str, *params: Any, **said: Any) -> Any:
        if method == "model.party.party.write" and phones(others, key) == ["1"]:
            others.write(f"{MECHANISM}.write", [first], {"value": "2"})
        return write(method, *params, **said)

    monkeypatch.setattr(remote.session, "write", late)
    assert [receipt.state for receipt in written(remote, (key, "9", "1"), (other, "8", "3"))] == ["stale", "delivered"]
    assert (phones(others, key), phones(others, other)) == (["2"], ["8"])


@pytest.mark.parametrize("sequences", [(None, None), (None, 3), (3, 7)])
def test_what_takes_the_place_of_nothing_stands_before_what_there_is(
        remote: TrytonRemote, others: Session, sequences: tuple[int | None, ...]) -> None:
    key, _ = called(others, *({"value": str(at), "sequence": one} for at, one in enumerate(sequences, 1)))
    for new, there in (("8", ["8", "1", "2"]), ("9", ["9", "8", "1", "2"])):
        assert written(remote, (key, new, ""))[0].state == "delivered"
        assert phones(others, key) == there
        assert remote.fetch(PARTY, [key]).frame["phone"].tolist() == [new]
