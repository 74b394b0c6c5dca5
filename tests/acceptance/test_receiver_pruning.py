"""Bodies of calls that were taken in long ago go; what makes them known again stays."""

from __future__ import annotations

import orjson
import pytest
from typer.testing import CliRunner

from mappings.language.project import require_project
from pipelines.cli import inbox
from pipelines.cli.app import app
from pipelines.runs.intake import run_flow
from pipelines.runs.pruning import prune_inbox
from tests.acceptance.test_live import eventually
from tests.http_desk import ENV, SYSTEMS, Caller, caller, module_road, road, serving
from tests.road_desk import Road

pytestmark = pytest.mark.slow

__all__ = ["caller", "module_road", "road"]
inbox.register(app)

DAYS = "UPDATE sync.inbox SET received_at = received_at - make_interval(days => {0});" \
       " UPDATE sync.run SET started_at = started_at - make_interval(days => {0})," \
       " ended_at = ended_at - make_interval(days => {0})"


def customer(number: int, name: str = "Ateliers Réunis") -> dict[str, object]:
    return {"id": number, "version": 1, "name": name}


def taken_in(road: Road, caller: Caller, *numbers: int) -> None:
    for number in numbers:
        assert caller.post(customer(number), key=f"call-{number}").status == 202
    run_flow(road.hub, "shop_customers")


def days_pass(road: Road, days: int) -> None:
    road.owner(DAYS.format(days))


def pruned(road: Road, **said: int) -> list[bool]:
    """Whether each call's body is gone, once what is due was dropped (the caller's server may have been faster)."""
    prune_inbox(road.hub, **said)
    return gone(road)


def gone(road: Road) -> list[bool]:
    return [one for one, in road.hub_sees("SELECT body IS NULL FROM sync.inbox ORDER BY id")]


def test_a_body_goes_some_time_after_its_call_was_taken_in(road: Road, caller: Caller) -> None:
    taken_in(road, caller, 1)
    days_pass(road, 29)
    assert pruned(road) == [False]
    days_pass(road, 2)
    taken_in(road, caller, 2)
    assert pruned(road) == [True, False]
    assert road.hub_sees("SELECT key, state FROM sync.inbox ORDER BY id") == [("call-1", "done"), ("call-2", "done")]


def test_the_time_counts_from_the_end_of_the_run_that_took_it_in(road: Road, caller: Caller) -> None:
    assert caller.post(customer(1), key="call-1").status == 202
    days_pass(road, 40)
    run_flow(road.hub, "shop_customers")
    assert pruned(road) == [False]
    days_pass(road, 31)
    assert pruned(road) == [True]


def test_the_same_call_again_is_known_after_its_body_is_gone(road: Road, caller: Caller) -> None:
    taken_in(road, caller, 1)
    days_pass(road, 31)
    assert pruned(road) == [True]
    again = caller.post(customer(1), key="call-1")
    assert (again.status, again.told["receipt"]) == (200, road.one("SELECT id FROM sync.inbox"))
    assert road.one("SELECT count(*) FROM sync.inbox") == 1


def test_another_body_under_its_key_is_still_refused(road: Road, caller: Caller) -> None:
    taken_in(road, caller, 1)
    days_pass(road, 31)
    assert pruned(road) == [True]
    other = caller.post(customer(1, "Somebody else"), key="call-1")
    assert (other.status, other.told["code"]) == (422, "key")


def test_what_waits_or_was_refused_keeps_its_body(road: Road, caller: Caller) -> None:
    for number in range(1, 5):
        caller.post(customer(number), key=f"call-{number}")
    road.owner("UPDATE sync.inbox SET state = (ARRAY['waiting', 'failed', 'refused', 'dismissed'])[id - (SELECT min(id)"
                 " FROM sync.inbox) + 1]")
    days_pass(road, 400)
    assert pruned(road) == [False] * 4


def test_many_go_in_small_batches(road: Road, caller: Caller) -> None:
    taken_in(road, caller, *range(1, 8))
    days_pass(road, 31)
    assert pruned(road, batch=3) == [True] * 7


def test_each_system_says_how_long(road: Road, caller: Caller) -> None:
    taken_in(road, caller, 1)
    days_pass(road, 3)
    assert pruned(road) == [False]
    (road.root / "mappings" / "systems.yaml").write_text(SYSTEMS.replace("rate: 10000", "rate: 10000, keep: 2d"))
    road.project = require_project(road.root, ENV)
    road.__post_init__()
    assert pruned(road) == [True]


def test_a_server_prunes_by_itself(road: Road, caller: Caller) -> None:
    taken_in(road, caller, 1)
    days_pass(road, 31)
    with serving(road):
        eventually(lambda: gone(road), [True])


def test_the_command_prunes_and_a_body_that_is_gone_is_told(road: Road, caller: Caller,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: road.hub)
    taken_in(road, caller, 1)
    days_pass(road, 31)
    number = road.one("SELECT id FROM sync.inbox")
    assert orjson.loads(CliRunner().invoke(app, ["inbox", "prune", "--json"]).stdout) == {"calls": 1}
    assert gone(road) == [True]
    shown = CliRunner().invoke(app, ["inbox", "show", str(number)])
    assert shown.exit_code == 1
    assert "its body is no longer kept" in shown.stderr
