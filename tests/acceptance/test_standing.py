"""How a system stands: what people say of it holds, whatever its calls find out at the same moment."""

from __future__ import annotations

import time
from threading import Thread

import pytest

from connectors.remote import RemoteDown
from pipelines.runs.standing import answering, resume
from tests.memory_desk import Three, module_three, siret, three

__all__ = ["module_three", "three"]

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_a_pause_at_the_moment_in_which_a_system_comes_up_holds(three: Three) -> None:
    with pytest.raises(RemoteDown), answering(three.hub, "shop"):
        raise RemoteDown("it does not answer")
    three.sees("UPDATE sync.system_state SET until = now()")

    def answers() -> None:
        with answering(three.hub, "shop"):
            pass

    thread = Thread(target=answers)
    with three.store.connect(three.store.roles.hub) as person:
        person.execute("UPDATE sync.system_state SET state = 'paused', until = NULL WHERE system = 'shop'")
        thread.start()
        while thread.is_alive() and not three.one(BLOCKED):
            time.sleep(0.01)
    thread.join()
    assert three.one("SELECT state FROM sync.system_state WHERE system = 'shop'") == "paused"
    resume(three.hub, "shop")


def test_what_was_to_be_tried_again_later_is_sent_once_its_system_is_resumed(three: Three) -> None:
    three.crm("INSERT INTO crm.company (name, siret) VALUES ('One', %s)", siret(1))
    books = three.systems["books"]
    books.answers.append("retry")
    three.push("books")
    three.sees("UPDATE sync.outbox SET due_at = now() + interval '1 hour' WHERE state = 'waiting'")
    resume(three.hub, "erp")
    three.push("books")
    assert books.rows == {}
    resume(three.hub, "books")
    three.push("books")
    assert [row["name"] for row in books.rows.values()] == ["One"]
