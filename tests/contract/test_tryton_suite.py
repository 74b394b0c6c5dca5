"""Tryton stands what every connector has to stand, on a model whose rows are written at once, and on one whose are not."""

from __future__ import annotations

import pytest

from connectors.remote import Change, Remote, Resource
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from mappings.errors import ConfigurationError
from tests.contract.remote_suite import RemoteSuite
from tests.tryton_desk import TrytonDesk

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up


class TestParties(RemoteSuite):
    """Every new party is written again in the transaction that creates it: its write_date is never null."""

    @pytest.fixture
    def desk(self, tryton: TrytonServer, others: Session) -> TrytonDesk:
        parties = Resource("party.party", ("id",), ("id", "code", "name", "active", "_timestamp"), version="_timestamp")
        desk = TrytonDesk(tryton, others, parties, "name", ("active", "perhaps"), {"code": "taken"}, "must be unique")
        if not others.read("model.party.party.search", [["code", "=", "taken"]], 0, None, None):
            desk.insert([{"name": "the first", "code": "taken"}])
        return desk


class TestCategories(RemoteSuite):
    """A category's write_date is null until somebody edits it; it cannot be archived."""

    @pytest.fixture
    def desk(self, tryton: TrytonServer, others: Session) -> TrytonDesk:
        categories = Resource("product.category", ("id",), ("id", "name", "parent", "_timestamp", "write_date"),
                              version="_timestamp")
        return TrytonDesk(tryton, others, categories, "name", ("parent", "somewhere"), {"name": ""}, "required")

    def test_what_cannot_be_archived_says_so(self, desk: TrytonDesk, remote: Remote) -> None:
        [key] = desk.insert([desk.values()])
        with pytest.raises(ConfigurationError, match="active"):
            remote.write(desk.resource, [Change("archive", key, {})])
        assert remote.capabilities(desk.resource).archive is False

    def test_the_rows_of_this_model_were_never_written(self, desk: TrytonDesk, remote: Remote) -> None:
        [key] = desk.insert([desk.values()])
        assert remote.fetch(desk.resource, [key]).frame["write_date"].tolist() == [""]
