"""Whose a row is that we have written: ours still, or saved by another user since."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.remote import Change, Key, Resource
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

PARTY = Resource("party.party", ("id",), ("id", "name", "phone"), version="_timestamp")
CATEGORY = Resource("product.category", ("id",), ("id", "name"))


@pytest.fixture
def remote(tryton: TrytonServer) -> Iterator[TrytonRemote]:
    remote = open_tryton(tryton.settings())
    yield remote
    remote.close()


def made(remote: TrytonRemote, resource: Resource, **values: str) -> Key:
    [receipt] = remote.write(resource, [Change("create", None, values)])
    assert receipt.key is not None
    return receipt.key


@pytest.mark.parametrize("resource", [PARTY, CATEGORY], ids=lambda one: one.name)
def test_a_row_is_ours_until_another_user_saves_it(remote: TrytonRemote, another: Session, resource: Resource) -> None:
    key, other = made(remote, resource, name="Ours to begin with"), made(remote, resource, name="Ours to the end")
    assert list(remote.edited(resource, [key, other])) == []
    another.write(f"model.{resource.name}.write", [int(key[0])], {"name": "Theirs"})
    assert list(remote.edited(resource, [key, other])) == [key]
    assert remote.write(resource, [Change("update", key, {"name": "Ours again"})])[0].state == "delivered"
    assert list(remote.edited(resource, [key, other])) == []


def test_a_phone_that_another_user_saved_is_his_only_where_we_have_not_written_since(
        remote: TrytonRemote, another: Session) -> None:
    key = made(remote, PARTY, name="Called", phone="+33199004001")
    mechanism = "model.party.contact_mechanism"
    [second] = another.write(f"{mechanism}.create", [{"party": int(key[0]), "type": "phone", "value": "+33199004002"}])
    assert list(remote.edited(PARTY, [key])) == [key]
    assert remote.write(PARTY, [Change("update", key, {"phone": ""})])[0].state == "delivered"
    assert list(remote.edited(PARTY, [key])) == [], "the next one takes its place, as it was"
    another.write(f"{mechanism}.write", [second], {"active": False})
    assert list(remote.edited(PARTY, [key])) == [key]
    another.write(f"{mechanism}.create", [{"party": int(key[0]), "type": "email", "value": "a@example.org"}])
    assert remote.write(PARTY, [Change("update", key, {"phone": "+33199004003"})])[0].state == "delivered"
    another.write(f"{mechanism}.create", [{"party": int(key[0]), "type": "email", "value": "b@example.org"}])
    assert list(remote.edited(PARTY, [key])) == [], "the flow reads no e-mail"
