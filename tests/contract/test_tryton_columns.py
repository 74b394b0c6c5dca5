"""Columns of Tryton that are not what they seem: numbers that it gives by itself, and values that stand elsewhere."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from connectors.remote import Change, Resource
from connectors.tryton.open import open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from tests.contract.remote_suite import only
from tests.contract.test_tryton import PARTY, in_database, made

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up


@pytest.mark.parametrize("said", [None, "Ce code existe déjà."])
def test_a_number_that_tryton_gave_twice_may_pass_and_one_that_we_sent_does_not(
        tryton: TrytonServer, others: Session, said: str | None) -> None:
    """Two who make a party at the same moment: here the sequence goes back by one. The words are the language's."""
    english = "The code on party must be unique."
    language = "en" if said is None else "fr"
    if said is not None:
        [message] = others.read("model.ir.message.search", [["text", "=", english]], 0, 1, None)
        in_database(tryton, "INSERT INTO ir_translation (name, res_id, lang, type, src, value, module, overriding_module,"
                            " fuzzy) VALUES ('ir.message,text', ?, 'fr', 'model', ?, ?, 'party', '', 0)",
                    message, english, said)
    [sequence] = others.read("model.ir.sequence.search_read", [["name", "=", "Party"]], 0, 1, None, ["number_next"])
    with closing(open_tryton(tryton.settings(language=language))) as remote:
        [key] = made(remote, PARTY, {"name": "First"})
        code = only(remote.fetch(PARTY, [key]))["code"]
        others.write("model.ir.sequence.write", [sequence["id"]], {"number_next": int(code)})
        given = remote.write(PARTY, [Change("create", None, {"name": "Second"}), Change("create", None, {"name": "Third"})])
        others.write("model.ir.sequence.write", [sequence["id"]], {"number_next": int(code) + 1})
        ours = remote.write(PARTY, [Change("create", None, {"name": "Fourth", "code": code})])
        assert [(one.state, one.message) for one in (*given, *ours)] == [
            ("retry", said or english), ("retry", said or english), ("refused", said or english)]
        made(remote, PARTY, {"name": "Second"}, {"name": "Third"})


def test_a_change_of_what_stands_elsewhere_makes_no_new_version_and_is_told_so(
        tryton: TrytonServer, others: Session) -> None:
    seen = replace(PARTY, columns=("id", "name", "code", "active", "phone", "identifiers.code"))
    product = Resource("product.product", ("id",), ("id", "suffix_code", "name"), version="_timestamp")
    with closing(open_tryton(tryton.settings())) as remote:
        assert {"phone", "identifiers.code"} == remote.capabilities(seen).beside - {"id", "_timestamp"}
        assert "name" in remote.capabilities(product).beside  # its template's
        [key] = made(remote, PARTY, {"name": "Beside"})
        before = only(remote.fetch(seen, [key]))
        others.write("model.party.contact_mechanism.create",
                     [{"party": int(key[0]), "type": "phone", "value": "+33199001234"}])
        after = only(remote.fetch(seen, [key]))
        assert (after["phone"], after["_timestamp"]) == ("+33199001234", before["_timestamp"])
        others.write("model.party.party.write", [int(key[0])], {"name": "Theirs"})
        [receipt] = remote.write(seen, [Change("update", key, {"name": "Late"}, version=after["_timestamp"])])
        assert receipt.state == "stale"
