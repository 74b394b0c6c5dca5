"""Rights that our login lacks in a real Tryton: what is to be sent waits for them, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from mappings.errors import ConfigurationError
from mappings.language.project import require_project
from pipelines.runs.lock import flow_lock
from pipelines.runs.push import push_locked
from pipelines.runs.remote import Kept, session
from tests.acceptance.test_tryton_both_ways import PARTIES, Both
from tests.tryton_desk import another, lay_mappings, others, tryton

__all__ = ["another", "others", "tryton"]
pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up


@pytest.fixture
def both(tryton: TrytonServer, others: Session, another: Session, new_store: Any, tmp_path: Path) -> Both:
    """Our login has all groups, and is no administrator, to whom no right is lacking."""
    lay_mappings(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(another.settings.secret(), "utf-8")
    project = require_project(tmp_path, {
        "TRYTON_URL": tryton.url, "TRYTON_USER": another.settings.user, "TRYTON_PASSWORD_FILE": str(secret)})
    return Both(tmp_path, new_store(project), project, others)


@pytest.fixture
def without(others: Session) -> Callable[[str], Any]:
    """While the block runs nobody but administrators may do this to parties."""
    @contextmanager
    def taken(right: str) -> Iterator[None]:
        rights = {f"perm_{one}": one != right for one in ("read", "write", "create", "delete")}
        access = others.write("model.ir.model.access.create", [{"model": "party.party", **rights}])
        try:
            yield
        finally:
            others.write("model.ir.model.access.delete", access)
    return taken


def outbox(both: Both) -> list[tuple[Any, ...]]:
    return both.sees("SELECT state, why->>'code', why->>'message' LIKE '%%not allowed%%' FROM sync.outbox")


def test_what_was_refused_for_a_right_is_sent_by_a_push_once_it_is_there(
        both: Both, without: Callable[[str], Any]) -> None:
    number = both.party("Forbidden")
    both.run()
    both.crm("UPDATE crm.company SET name = 'Allowed' WHERE name = 'Forbidden'")
    with without("write"):
        assert both.push().counts["refused"] == 1
        assert outbox(both) == [("refused", "not_able", True)]
    assert both.push().counts["updated"] == 1
    assert (both.there(number, "name"), outbox(both)) == (["Allowed"], [])


def test_what_may_not_be_read_waits_and_is_sent_by_a_push_once_it_may(
        both: Both, without: Callable[[str], Any]) -> None:
    number, flow = both.party("Hidden"), both.hub.flow(PARTIES)
    both.run()
    with closing(Kept()) as kept, flow_lock(both.hub, PARTIES):  # as live, which has described the resource a moment ago
        with session(both.hub, "tryton", kept) as remote:
            kept.resource_of(both.hub, flow, remote)
        both.crm("UPDATE crm.company SET name = 'Shown' WHERE name = 'Hidden'")
        with without("read"), pytest.raises(ConfigurationError, match="not allowed"):
            push_locked(both.hub, flow, kept=kept)
    assert outbox(both) == [("waiting", "not_able", True)]
    both.sees("UPDATE sync.outbox SET due_at = now() + interval '15 minutes' RETURNING 1")
    assert both.push().counts["updated"] == 1
    assert (both.there(number, "name"), outbox(both)) == (["Shown"], [])
