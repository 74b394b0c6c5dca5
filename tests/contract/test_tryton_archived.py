"""A record that is archived takes no values, so taking it back along with others needs two calls of Tryton."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.remote import Change, Key, Resource
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from tests.contract.remote_suite import only

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

PARTY = Resource("party.party", ("id",), ("id", "name", "active", "_timestamp"), version="_timestamp")


@pytest.fixture
def remote(tryton: TrytonServer) -> Iterator[TrytonRemote]:
    remote = open_tryton(tryton.settings())
    yield remote
    remote.close()


def made(remote: TrytonRemote, name: str, *, active: bool = False) -> tuple[Key, str]:
    """The key and the version of a party."""
    [receipt] = remote.write(PARTY, [Change("create", None, {"name": name})])
    assert receipt.key is not None
    if not active:
        assert remote.write(PARTY, [Change("archive", receipt.key, {})])[0].state == "delivered"
    return receipt.key, only(remote.fetch(PARTY, [receipt.key]))["_timestamp"]


def test_it_is_taken_back_and_gets_its_values(remote: TrytonRemote) -> None:
    (key, version), (other, its) = made(remote, "Asleep"), made(remote, "Awake", active=True)
    said = remote.write(PARTY, [Change("update", key, {"active": "true", "name": "Woken"}, version),
                                Change("update", other, {"active": "true", "name": "Still awake"}, its)])
    assert [receipt.state for receipt in said] == ["delivered"] * 2
    rows = remote.fetch(PARTY, [key, other]).frame
    assert rows[["name", "active"]].values.tolist() == [["Woken", "true"], ["Still awake", "true"]]


def test_it_gets_its_values_and_is_archived(remote: TrytonRemote) -> None:
    key, version = made(remote, "Going", active=True)
    [receipt] = remote.write(PARTY, [Change("update", key, {"active": "false", "name": "Gone"}, version)])
    assert receipt.state == "delivered", receipt
    row = only(remote.fetch(PARTY, [key]))
    assert (row["name"], row["active"]) == ("Gone", "false")


def test_what_another_user_saves_between_the_two_is_not_written_over(
        remote: TrytonRemote, another: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    key, version = made(remote, "Asleep too")
    write = remote.session.write

    def written(method: str, *params: Any, **said: Any) -> Any:
        told = write(method, *params, **said)
        if params[-1:] == ({"active": True},):
            another.write("model.party.party.write", [int(key[0])], {"name": "Named there"})
        return told

    monkeypatch.setattr(remote.session, "write", written)
    [receipt] = remote.write(PARTY, [Change("update", key, {"active": "true", "name": "Named here"}, version)])
    row = only(remote.fetch(PARTY, [key]))
    assert (receipt.state, row["name"], row["active"]) == ("stale", "Named there", "true")
    [receipt] = remote.write(PARTY, [Change("update", key, {"active": "true", "name": "Named here"}, row["_timestamp"])])
    assert receipt.state == "delivered"
