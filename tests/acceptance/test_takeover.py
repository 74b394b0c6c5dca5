"""A process whose lock connection is cut while it sends: another takes over, and the first one writes nothing more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from mappings.errors import RetryLater
from pipelines.hub import Hub
from pipelines.runs import push
from pipelines.runs.intake import run_flow
from pipelines.runs.leadership import FLOW_LOCK
from pipelines.runs.pushing import push_flow
from tests.memory_desk import Three, module_three, siret, three
from tests.memory_systems import MemoryRemote

__all__ = ["module_three", "three"]


def cut_the_lock(three: Three, server: Any) -> None:
    """As a network does, or an administrator; the process that holds the flow does not hear of it."""
    with closing(server.superuser(three.store.database)) as admin:
        assert admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [FLOW_LOCK]).fetchall() == [(True,)]


def another(three: Three) -> None:
    """The whole push of another process, with connections of its own."""
    failures: list[BaseException] = []

    def work() -> None:
        hub = Hub(three.project, three.root / "home", replace(three.store), three.hub.tables)
        try:
            push_flow(hub, "erp")
        except BaseException as error:  # told by the test
            failures.append(error)
        finally:
            hub.engine.dispose()

    thread = Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert failures == []


def paused(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
    """The next push stops between its claim and its write, for as long as `meanwhile` takes; the one after it does not."""
    encode, acts = push.encode, [meanwhile]

    def slowly(*arguments: Any) -> None:
        encode(*arguments)
        if acts:
            acts.pop()()

    monkeypatch.setattr(push, "encode", slowly)


def test_what_another_process_has_made_meanwhile_is_not_made_again(
        three: Three, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    three.crm("INSERT INTO crm.company (name, siret) VALUES ('Once', %s)", siret(1))
    three.push("shop")
    three.push("books")
    before = three.one("SELECT epoch FROM sync.leadership WHERE name = 'erp'") or 0

    def meanwhile() -> None:
        cut_the_lock(three, server)
        another(three)

    paused(monkeypatch, meanwhile)
    with pytest.raises(RetryLater, match="another process may be at it"):
        push_flow(three.hub, "erp")
    assert three.systems["erp"].writes == 1
    assert len(three.systems["erp"].rows) == 1
    assert three.sees("SELECT operation, state FROM sync.intent JOIN sync.feed f ON f.id = feed WHERE f.flow = 'erp'") == [
        ("create", "delivered")]
    assert three.one("SELECT epoch FROM sync.leadership WHERE name = 'erp'") == before + 2
    three.rest()
    assert three.differences() == []


def test_what_another_process_has_sent_meanwhile_is_not_written_over(
        three: Three, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    three.crm("INSERT INTO crm.company (name, siret, website) VALUES ('Once', %s, 'https://a.example')", siret(1))
    three.push("erp")
    three.crm("UPDATE crm.company SET website = 'https://b.example'")

    def meanwhile() -> None:
        cut_the_lock(three, server)
        three.crm("UPDATE crm.company SET website = 'https://c.example'")
        another(three)

    paused(monkeypatch, meanwhile)
    with pytest.raises(RetryLater, match="nothing was written"):
        push_flow(three.hub, "erp")
    assert [row["website"] for row in three.systems["erp"].rows.values()] == ["https://c.example"]
    three.rest()
    assert three.differences() == []


def test_without_its_lock_a_process_writes_nothing_even_if_nobody_took_over(
        three: Three, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    three.crm("INSERT INTO crm.company (name, siret) VALUES ('Alone', %s)", siret(1))
    paused(monkeypatch, lambda: cut_the_lock(three, server))
    with pytest.raises(RetryLater, match="nothing was written"):
        push_flow(three.hub, "erp")
    assert three.systems["erp"].writes == 0
    push_flow(three.hub, "erp")
    assert three.systems["erp"].writes == 1


@pytest.mark.parametrize("flow", ["erp", "shop"])  # with versions, and without
def test_what_was_read_before_the_lock_was_lost_is_not_taken_in_behind_what_another_process_read(
    three: Three, server: Any, monkeypatch: pytest.MonkeyPatch, flow: str
) -> None:
    fetch, held, go, ended = MemoryRemote.fetch, Event(), Event(), list[object]()
    three.crm("INSERT INTO crm.company (name, city) VALUES ('Atelier', 'Paris')")

    def hanging(remote: MemoryRemote, *asked: Any) -> Any:
        page = fetch(remote, *asked)
        if not held.is_set():
            held.set()
            assert go.wait(30)
        return page

    def first() -> None:
        try:
            ended.append(push_flow(three.hub, flow))
        except RetryLater as error:
            ended.append(error)

    monkeypatch.setattr(MemoryRemote, "fetch", hanging)
    thread = Thread(target=first)
    thread.start()
    assert held.wait(30)
    cut_the_lock(three, server)
    [key] = three.systems[flow].rows
    three.systems[flow].edit(key, city="Brest")
    hub = Hub(three.project, three.root / "home", replace(three.store), three.hub.tables)
    assert [result.state for result in run_flow(hub, flow)] == ["done"]
    hub.engine.dispose()
    assert three.one("SELECT city FROM crm.company") == "Brest"
    go.set()
    thread.join(60)
    assert [type(one) for one in ended] == [RetryLater]
    assert three.one("SELECT city FROM crm.company") == "Brest"
    three.rest()
    assert {one.rows[key]["city"] for one in three.systems.values() for key in one.rows} == {"Brest"}
