"""The receiver: what a system says by calling is kept once, taken in like a file's rows, and refused with a reason."""

from __future__ import annotations

import csv
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import orjson
import pytest

from mappings.language.project import require_project
from pipelines.http.app import build_app
from pipelines.ops.export import export_held
from pipelines.ops.inbox import call_counts, settle_calls
from pipelines.ops.status import status
from pipelines.runs.intake import HeldBack, run_flow
from pipelines.runs.live import keep_live
from pipelines.runs.settling import settle_run
from tests.acceptance.test_live import eventually
from tests.http_desk import ENV, OLD_SECRET, SECRET, Caller, caller, module_road, road, serving, signed
from tests.road_desk import Road, told

pytestmark = pytest.mark.slow

__all__ = ["caller", "module_road", "road"]

ROW = {"id": 7, "version": 1, "name": "Ateliers Réunis", "siret": "73282932000074", "address": {"city": "Lyon"}}


def take_in(road: Road) -> dict[str, int]:
    results = run_flow(road.hub, "shop_customers")
    assert [result.state for result in results] == ["done"] * len(results)
    return told(results[-1]) if results else {}


def inbox(road: Road) -> list[tuple[str, int]]:
    return road.hub_sees("SELECT state, rows FROM sync.inbox ORDER BY id")  # type: ignore[return-value]


def refused(road: Road) -> dict[tuple[str, str], int]:
    return {(count.system, count.what): count.count for count in call_counts(road.hub)}


def test_a_call_is_kept_and_the_next_run_takes_it_in(road: Road, caller: Caller) -> None:
    answer = caller.post(ROW)
    assert answer.status == 202
    assert answer.told["rows"] == 1
    assert inbox(road) == [("waiting", 1)]
    assert status(road.hub)[0].calls == {"waiting": 1}
    assert take_in(road) == {"created": 1}
    assert road.companies("name", "city") == [("Ateliers Réunis", "Lyon")]
    assert inbox(road) == [("done", 1)]
    assert take_in(road) == {}


def test_rows_of_a_call_have_outcomes_as_those_of_a_file_have(road: Road, caller: Caller) -> None:
    people = [{"no": 1, "name": "Petit"}, {"no": 2, "name": "Roux"}]
    assert caller.post([ROW | {"people": people}, {"id": 8, "version": 1, "siret": "1"},
                        {"id": 9, "version": 1, "name": "Daughter", "group": 10}]).status == 202
    assert take_in(road) == {"created": 1, "rejected": 1, "parked": 1}
    assert road.hub_sees("SELECT last_name FROM crm.contact ORDER BY 1") == [("Petit",), ("Roux",)]
    number = road.one("SELECT id FROM sync.inbox")
    assert {row[0] for row in road.hub_sees("SELECT line FROM sync.held WHERE state = 'open'")} == {number}
    assert caller.post([{"id": 8, "version": 2, "name": "Now whole"},
                        {"id": 10, "version": 1, "name": "Mother"}]).status == 202
    run_flow(road.hub, "shop_customers")
    assert road.held() == []
    assert road.links() == {"Daughter": "Mother"}


def test_a_refused_element_of_a_call_is_closed_by_a_newer_call_that_has_it_no_more(road: Road, caller: Caller) -> None:
    caller.post(ROW | {"people": [{"name": "Nobody"}, {"no": 2, "name": "Roux"}]})
    take_in(road)
    assert road.held() == [("rejected", None, "no_key")]
    caller.post(ROW | {"version": 2, "people": [{"no": 2, "name": "Roux"}]})
    take_in(road)
    assert road.held() == []


def test_a_number_beyond_64_bits_is_kept_as_it_was_written(road: Road, caller: Caller) -> None:
    assert caller.post(f'{{"id": {2**64}, "version": 1, "name": "Huge"}}'.encode()).status == 202
    refused = caller.post(f'{{"id": {"9" * 500}, "name": "x"}}'.encode())
    assert refused.status == 400
    assert refused.told["detail"].startswith("it holds a number of more than 400 digits")
    take_in(road)
    assert road.hub_sees("SELECT key FROM sync.crosswalk_company") == [(str(2**64),)]


def test_an_older_call_does_not_overwrite_a_newer_one(road: Road, caller: Caller) -> None:
    caller.post(ROW | {"version": 5, "name": "Newer"})
    take_in(road)
    caller.post(ROW | {"version": 4, "name": "Older"})
    assert take_in(road) == {"superseded": 1}
    assert road.names() == ["Newer"]


def test_versions_of_calls_may_be_written_as_numbers_of_any_kind(road: Road, caller: Caller) -> None:
    for version in (9, "10", 9.5):
        caller.post(ROW | {"version": version, "name": f"Name {version}"})
        take_in(road)
    assert road.names() == ["Name 10"]


def test_what_a_call_does_not_name_stays(road: Road, caller: Caller) -> None:
    caller.post(ROW)
    take_in(road)
    caller.post({"id": 7, "version": 2, "name": "Renamed"})
    assert take_in(road) == {"updated": 1}
    assert road.companies("name", "city") == [("Renamed", "Lyon")]


def test_many_calls_of_one_moment_are_taken_in_their_order(road: Road, caller: Caller) -> None:
    for version in range(1, 6):
        caller.post(ROW | {"version": version, "name": f"Name {version}"})
    take_in(road)
    assert road.names() == ["Name 5"]


def test_a_live_process_takes_a_call_in_at_once(road: Road, caller: Caller) -> None:
    stop = Event()
    thread = Thread(target=keep_live, args=(road.hub, "shop", stop, lambda *_: None))
    thread.start()
    try:
        assert caller.post(ROW).status == 202
        eventually(road.names, ["Ateliers Réunis"])
        assert caller.post(ROW | {"version": 2, "name": "Renamed"}).status == 202
        eventually(road.names, ["Renamed"])
        eventually(lambda: inbox(road), [("done", 1), ("done", 1)])
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_a_live_process_says_once_that_versions_tell_no_order(road: Road, caller: Caller) -> None:
    said: list[str] = []
    stop = Event()
    thread = Thread(target=keep_live, args=(road.hub, "shop", stop, lambda _, counts: said.extend(counts)))
    thread.start()
    try:
        for name in ("One", "Two"):
            caller.post(ROW | {"version": "unknown", "name": name})
            eventually(road.names, [name])
        caller.post([{"version": "unknown", "name": "Three", "id": number} for number in (7, 8)])
        eventually(lambda: len(road.names()), 2)
    finally:
        stop.set()
        thread.join(60)
    assert [told for told in said if "problem" in told] == [
        "problem: no mark in version tells an order (rows that have one: 1), so that older rows overwrite newer ones: name a"
        " column of numbers or times, or write read.stamp_format as the source has them"]


def test_the_same_key_again_is_the_same_receipt_and_not_taken_in_twice(road: Road, caller: Caller) -> None:
    first = caller.post(ROW, key="order-1", at=time.time() - 10)
    again = caller.post(ROW, key="order-1")
    assert (first.status, again.status) == (202, 200)
    assert again.told == first.told
    other = caller.post(ROW | {"name": "Other words"}, key="order-1")
    assert other.status == 422
    take_in(road)
    assert caller.post(ROW, key="order-1").told == first.told
    assert inbox(road) == [("done", 1)]


def test_a_call_that_somebody_sends_again_is_the_same_call(road: Road, caller: Caller) -> None:
    body = orjson.dumps(ROW)
    headers = signed(body)
    first = caller.send("POST", "/hooks/shop/shop_customers", body, headers)
    again = caller.send("POST", "/hooks/shop/shop_customers", body, headers | {"Idempotency-Key": "made-up"})
    assert (first.status, again.status) == (202, 200)
    assert again.told == first.told
    assert len(inbox(road)) == 1


def test_calls_with_one_key_at_the_same_moment_are_one(road: Road, caller: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: caller.post(ROW, key="k", at=time.time() - at), range(16)))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [202]
    assert len({answer.told["receipt"] for answer in answers}) == 1
    assert len(inbox(road)) == 1


def test_both_secrets_of_a_system_that_changes_its_secret_are_good(caller: Caller) -> None:
    assert caller.post(ROW, secret=OLD_SECRET).status == 202
    body = orjson.dumps(ROW | {"version": 9})
    headers = signed(body)
    headers["Navette-Signature"] = f"v1={'0' * 64}, {headers['Navette-Signature']}"
    assert caller.send("POST", "/hooks/shop/shop_customers", body, headers).status == 202


def test_a_wrong_signature_a_stale_time_and_an_unknown_name_are_refused(road: Road, caller: Caller) -> None:
    wrong = caller.post(ROW, secret="a-secret-of-somebody")
    unknown = caller.post(ROW, path="/hooks/nobody/shop_customers")
    no_flow = caller.post(ROW, path="/hooks/shop/nothing", secret="a-secret-of-somebody")
    assert wrong.status == 401
    for alike in (unknown, no_flow):
        assert (alike.status, alike.body) == (wrong.status, wrong.body)
        assert set(alike.headers) == set(wrong.headers)
    for at in (time.time() - 301, time.time() + 302):
        stale = caller.post(ROW, at=at)
        assert (stale.status, stale.told["code"]) == (401, "time")
    assert caller.post(ROW, path="/hooks/shop/nothing").status == 404
    assert caller.post(ROW, path="/hooks/shop/stall_companies").status == 404
    assert wrong.headers["content-type"] == "application/problem+json"
    assert inbox(road) == []
    eventually(lambda: refused(road), {("", "signature"): 1, ("shop", "signature"): 2, ("shop", "time"): 2,
                                       ("shop", "flow"): 2})


def test_too_much_is_refused_before_it_is_read(road: Road) -> None:
    with serving(road, most_bytes=2000) as caller:
        assert caller.post({"id": "x" * 2000}).status == 413
        body = iter([b"x" * 1000] * 200)  # a client that reads nothing before it has sent everything
        headers = {"Content-Type": "application/json"}
        answer = caller.send("POST", "/hooks/shop/shop_customers", body, headers, encode_chunked=True)  # type: ignore[arg-type]
        assert answer.status == 413
        with socket.create_connection(("127.0.0.1", caller.port)) as raw:
            raw.sendall(b"POST /hooks/shop/shop_customers HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 413")
        assert caller.post(ROW).status == 202
        eventually(lambda: refused(road), {("shop", "oversize"): 3})


def test_a_flood_is_slowed_down_and_counted(road: Road, caller: Caller) -> None:
    answers = [caller.post({"id": number, "name": "x"}, path="/hooks/stall/stall_companies",
                           secret="a-secret-of-the-stall") for number in range(4)]
    assert [answer.status for answer in answers] == [202, 429, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert caller.post(ROW).status == 202  # another system's calls go on
    eventually(lambda: refused(road), {("stall", "flood"): 3})


def test_a_system_with_a_folder_may_call_too(road: Road, caller: Caller) -> None:
    caller.post({"id": 1, "name": "By call"}, path="/hooks/stall/stall_companies", secret="a-secret-of-the-stall")
    (road.root / "drop3" / "a.csv").write_text("id;name\n2;By file\n")
    results = run_flow(road.hub, "stall_companies")
    assert [result.state for result in results] == ["done", "done"]
    assert road.names() == ["By call", "By file"]


def test_calls_whose_run_failed_are_kept_and_tried_again(road: Road, caller: Caller) -> None:
    caller.post(ROW)
    path = road.root / "mappings/flows/shop_customers.yaml"
    text = path.read_text()
    expecting = text.replace("    match: [siret]", "    match: [siret]\n    expect: [{expect_table_row_count_to_be_between: {min_value: 2}}]")
    _remapped(road, expecting)
    assert run_flow(road.hub, "shop_customers")[-1].state == "failed"
    assert inbox(road) == [("failed", 1)]
    assert status(road.hub)[0].calls == {"failed": 1}
    _remapped(road, text)
    assert run_flow(road.hub, "shop_customers") == []
    assert settle_calls(road.hub, [], "waiting") == 1
    assert take_in(road) == {"created": 1}


def test_calls_that_write_an_id_differently_speak_of_one_record(road: Road, caller: Caller) -> None:
    path = road.root / "mappings/flows/shop_customers.yaml"
    text = path.read_text()
    derived = text.replace("version: version}", "version: version, derive: {no: {from: id, case: lower}}}")
    _remapped(road, derived.replace("key: id\n", "key: no\n").replace("[^id, no]", "[^no, no]"))
    try:
        caller.post({"id": "AB-1", "version": 1, "name": "One", "people": [{"id": "P", "name": "Petit"}]})
        assert take_in(road) == {"created": 1}
        caller.post({"id": "ab-1", "version": 2, "name": "Two", "people": [{"id": "p", "name": "Roux"}]})
        assert take_in(road) == {"updated": 1}
        beside = {"no": "ZZ"}  # what a call holds beside what the mapping reads says nothing
        caller.post({"id": "AB-1", "version": 3, "name": "Three", "people": [{"id": "P", "name": "Blanc"} | beside]} | beside)
        assert take_in(road) == {"updated": 1}
        assert road.hub_sees("SELECT key FROM sync.crosswalk_contact") == [("ab-1|p",)]
        assert sorted(orjson.loads(body)["id"] for (body,) in road.hub_sees("SELECT body FROM sync.inbox")) == [
            "AB-1", "AB-1", "ab-1"]
    finally:
        _remapped(road, text)


def test_no_secret_is_told_in_any_answer_or_log(road: Road, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    seen = b"".join(caller.post(said, path=path).body for said in (ROW, b"{", b"[]")
                    for path in ("/hooks/shop/shop_customers", "/hooks/shop/nothing", "/hooks/nobody/x"))
    assert SECRET.encode() not in seen
    assert SECRET not in caplog.text + repr(road.project) + str(build_app(road.hub).__dict__)


def _remapped(road: Road, text: str) -> None:
    (road.root / "mappings/flows/shop_customers.yaml").write_text(text)
    road.project = require_project(road.root, ENV)
    road.__post_init__()


def strange(version: int) -> list[dict[str, object]]:
    """Thirty rows, most of which the guard would not let pass."""
    return [{"id": number, "version": version, **({"name": f"Company {number}"} if number > 20 else {})}
            for number in range(30)]


def test_calls_far_from_the_usual_wait_for_a_person(road: Road, caller: Caller) -> None:
    caller.post(strange(1))
    [waits] = run_flow(road.hub, "shop_customers")
    assert waits.state == "review"
    caller.post({"id": 100, "version": 1, "name": "Later"})
    with pytest.raises(HeldBack):
        run_flow(road.hub, "shop_customers")
    assert inbox(road) == [("taking", 30), ("waiting", 1)]
    settle_run(road.hub, waits.run_id, approve=False)
    assert inbox(road) == [("refused", 30), ("waiting", 1)]
    assert take_in(road) == {"created": 1}
    number = road.one("SELECT min(id) FROM sync.inbox")
    assert settle_calls(road.hub, [number], "waiting") == 1
    [again] = run_flow(road.hub, "shop_customers")
    assert settle_run(road.hub, again.run_id, approve=True).state == "done"
    assert inbox(road) == [("done", 30), ("done", 1)]
    assert len(road.names()) == 10


def test_refused_rows_of_calls_are_exported_corrected_and_read_again(road: Road, caller: Caller) -> None:
    caller.post([{"id": 8, "version": 1, "name": "", "address": {"city": "Lyon"}}, {"id": 9, "version": 1, "name": "Good"}])
    assert take_in(road) == {"created": 1, "rejected": 1}
    [sheet] = export_held(road.hub, "shop_customers")
    text = sheet.path.read_text("utf-8-sig")
    delimiter = csv.Sniffer().sniff(text.splitlines()[0], ",;\t").delimiter
    [row] = csv.DictReader(text.splitlines(), delimiter=delimiter)
    assert (row["address.city"], row["name"]) == ("Lyon", "")
    with sheet.path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), delimiter=delimiter)
        writer.writeheader()
        writer.writerow(row | {"name": "Corrected"})
    assert [result.state for result in run_flow(road.hub, "shop_customers", file=sheet.path)] == ["done"]
    assert road.companies("name", "city") == [("Corrected", "Lyon"), ("Good", None)]
    assert road.held() == []
