"""What the receiver refuses as nothing that it can read, and keeps nothing of."""

from __future__ import annotations

import pytest

from tests.acceptance.test_receiver import ROW, inbox
from tests.http_desk import Caller, module_caller, module_road, road
from tests.road_desk import Road

__all__ = ["module_caller", "module_road", "road"]


@pytest.mark.parametrize(("timestamp", "signature"), [
    ("", ""), ("x", "v1=" + "0" * 64), ("-5", "v1="), ("1" * 400, "v1=é"), ("１７", "v1=" + "f" * 5000),
    ("0x10", "v1=" + ",v1=" * 400), (" 12", "v2=" + "0" * 64),
])
def test_headers_that_are_nothing_are_a_wrong_signature(module_caller: Caller, timestamp: str, signature: str) -> None:
    headers = {"Content-Type": "application/json", "Navette-Timestamp": timestamp.encode().decode("latin-1"),
               "Navette-Signature": signature}
    assert module_caller.send("POST", "/hooks/shop/shop_customers", b"{}", headers).status == 401


@pytest.mark.parametrize("body", [
    b"", b"nothing", b"[]", b"3", b"[1]", b'{"a": 1', b'{"a": NaN}', b'\xff{"a": 1}', b'{"id": "\\ud800"}',
    b'{"id": "\\u0000"}', b"[" * 100_000, b'{"id": 12345678901234567890, "b": "\\ud800"}',
    b'{"id": 12345678901234567890, "b": 1e999999999}', b'{"a":' * 500 + b"1" + b"}" * 500,
    '{"id": 1}'.encode("utf-16"), b"[" + b"{}," * 10_000 + b"{}]",
])
def test_rubbish_is_refused_with_what_is_wrong(road: Road, module_caller: Caller, body: bytes) -> None:
    answer = module_caller.post(body)
    assert (answer.status, answer.told["title"]) == (400, "not what can be read")
    assert inbox(road) == []


@pytest.mark.parametrize("headers", [
    {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=latin-1"}, {"Content-Encoding": "gzip"},
])
def test_what_is_not_declared_as_json_is_refused(module_caller: Caller, headers: dict[str, str]) -> None:
    assert module_caller.post(ROW, headers=headers).status == 415


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "a b", "é"])
def test_a_key_that_is_none_is_refused(module_caller: Caller, key: str) -> None:
    assert module_caller.post(ROW, headers={"Idempotency-Key": key}).status == 400


@pytest.mark.parametrize("path", ["/hooks/shop/shop_customers/", "/hooks//", "/hooks/..%2f..%2fetc/passwd", "/hooks/%00/%ff",
                                  "/hooks/shop", "/hooks/shop/a/b", "/hooks/" + "x" * 8000 + "/y"])
def test_hostile_paths_are_nothing(module_caller: Caller, path: str) -> None:
    answer = module_caller.post(ROW, path=path)
    assert answer.status in (401, 404)
    assert answer.headers["content-type"] == "application/problem+json"
