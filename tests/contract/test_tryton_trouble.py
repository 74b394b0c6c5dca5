"""What happens to a call on the way to Tryton and back, and when Tryton is killed: nothing is lost, nothing done twice."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.remote import Change, RemoteDown, Resource
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.wire import Wire
from demo.tryton_server import TrytonServer
from mappings.errors import ConfigurationError
from tests.contract.remote_suite import only
from tests.cutting_proxy import CuttingProxy, http

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

PARTY = Resource("party.party", ("id",), ("id", "code", "name"), reference="code")
PAGE = "<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1><p>the upstream&nbsp;is gone</p><script>x()</script>"


def counted(*methods: str) -> Callable[[bytes], bool]:
    return lambda body: any(f".{method}\"".encode() in body for method in methods)


@pytest.fixture
def proxy(tryton: TrytonServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(tryton.port, counted("create", "write", "delete", "read", "search_read"))
    yield proxy
    proxy.close()


@pytest.fixture
def remote(tryton: TrytonServer, proxy: CuttingProxy) -> Iterator[TrytonRemote]:
    """Through the proxy; logged in and with the model known, so that the plan meets the calls of the test alone."""
    remote = open_tryton(tryton.settings(base_url=proxy.url, timeout=30))
    remote.capabilities(PARTY)
    proxy.seen.clear()
    yield remote
    remote.close()


@pytest.fixture
def direct(tryton: TrytonServer) -> Iterator[TrytonRemote]:
    remote = open_tryton(tryton.settings())
    yield remote
    remote.close()


def creates(*references: str) -> list[Change]:
    return [Change("create", None, {"name": f"name of {one}"}, reference=one) for one in references]


@pytest.mark.parametrize("act", ["swallow", "half"])
def test_when_the_answer_is_lost_the_writes_are_unclear_and_may_be_done(
    remote: TrytonRemote, proxy: CuttingProxy, direct: TrytonRemote, act: str
) -> None:
    proxy.plan.append(act)
    references = [f"{act}-{number}" for number in range(3)]
    receipts = remote.write(PARTY, creates(*references))
    assert [receipt.state for receipt in receipts] == ["unclear"] * 3
    assert len(proxy.seen) == 1, "a write is never repeated by itself"
    assert all(len(direct.find(PARTY, {"code": one})) == 1 for one in references), "they can be found by our reference"


@pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout"])
def test_an_error_page_after_a_write_leaves_it_unclear(remote: TrytonRemote, proxy: CuttingProxy, status: str) -> None:
    proxy.plan.append(http(status, PAGE.encode(), "Content-Type: text/html"))
    [receipt] = remote.write(PARTY, creates(status))
    assert receipt.state == "unclear"
    assert "the upstream is gone" in receipt.message
    assert "<" not in receipt.message
    assert "x()" not in receipt.message


def test_a_write_that_stumbled_over_another_session_of_ours_may_pass_later(
    remote: TrytonRemote, proxy: CuttingProxy
) -> None:
    told = ["UserError", ["You are trying to read records \"143\" of \"Session\" that don't exist.", "", None]]
    said = json.dumps({"id": 0, "error": told}).encode()
    proxy.plan.append(http("200 OK", said, "Content-Type: application/json"))
    assert [receipt.state for receipt in remote.write(PARTY, creates("stumbled"))] == ["retry"]
    assert [receipt.state for receipt in remote.write(PARTY, creates("stumbled"))] == ["delivered"]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_server_that_takes_no_call_now_is_down_and_wrote_nothing(
    remote: TrytonRemote, proxy: CuttingProxy, direct: TrytonRemote, status: str
) -> None:
    proxy.plan.append(http(status, b"later"))
    with pytest.raises(RemoteDown, match=status[:3]):
        remote.write(PARTY, creates(status))
    assert len(direct.find(PARTY, {"code": status})) == 0
    assert [receipt.state for receipt in remote.write(PARTY, creates(status))] == ["delivered"]


def test_a_read_over_a_dead_connection_is_asked_once_more(
    remote: TrytonRemote, proxy: CuttingProxy, direct: TrytonRemote
) -> None:
    [made] = direct.write(PARTY, creates("read-again"))
    assert made.key is not None
    proxy.plan.append("lose")
    assert len(remote.fetch(PARTY, [made.key])) == 1
    assert len(proxy.seen) == 2
    proxy.plan.extend(["lose", "lose"])
    with pytest.raises(RemoteDown):
        remote.fetch(PARTY, [made.key])


def test_an_answer_that_is_not_tryton_s_is_told_by_its_words(remote: TrytonRemote, proxy: CuttingProxy) -> None:
    proxy.plan.append(http("200 OK", b"<h1>Sign in</h1><p>to the hotel's network</p>", "Content-Type: text/html"))
    with pytest.raises(RemoteDown, match="Sign in to the hotel's network"):
        remote.fetch(PARTY, [("1",)])


def test_a_redirect_is_not_followed(remote: TrytonRemote, proxy: CuttingProxy) -> None:
    proxy.plan.append(http("302 Found", b"", "Location: http://127.0.0.1:1/elsewhere"))
    with pytest.raises(ConfigurationError, match="elsewhere"):
        remote.fetch(PARTY, [("1",)])


def test_gzip_may_be_declared_and_not_done_or_done_and_not_declared(remote: TrytonRemote, proxy: CuttingProxy) -> None:
    content = json.dumps({"id": 0, "result": [{"id": 1, "code": "é", "name": "x" * 2000}]}).encode()
    for body, headers in ((content, ["Content-Encoding: gzip"]), (gzip.compress(content), []),
                          (gzip.compress(content), ["Content-Encoding: gzip"]), (content, [])):
        proxy.plan.append(http("200 OK", body, "Content-Type: application/json", *headers))
        assert only(remote.fetch(PARTY, [("1",)]))["code"] == "é"


def test_the_real_server_s_long_answers_are_read(remote: TrytonRemote, direct: TrytonRemote) -> None:
    receipts = direct.write(PARTY, creates(*(f"long-{number}" for number in range(100))))
    page = remote.fetch(PARTY, [receipt.key for receipt in receipts if receipt.key])
    assert sorted(page.frame["code"]) == sorted(f"long-{number}" for number in range(100))


@pytest.mark.parametrize("packed", [False, True])
def test_memory_is_bounded_whatever_is_sent(tryton: TrytonServer, proxy: CuttingProxy, packed: bool) -> None:
    small = open_tryton(tryton.settings(base_url=proxy.url, largest_answer=100_000))
    body = b'{"id": 0, "result": "' + b" " * 50_000_000 + b'"}'
    small.models._known["party.party"] = open_tryton(tryton.settings()).models.get("party.party")
    small.session._login()
    proxy.plan.extend([http("200 OK", gzip.compress(body, 1) if packed else body)] * 20)
    with pytest.raises(RemoteDown, match="larger than 100,000 bytes"):
        small.fetch(PARTY, [("1",)])
    small.close()


def test_nobody_listening_is_down_before_anything_was_sent(tryton: TrytonServer) -> None:
    remote = open_tryton(tryton.settings(base_url="http://127.0.0.1:1"))
    with pytest.raises(RemoteDown, match="cannot connect"):
        remote.write(PARTY, creates("nowhere"))
    remote.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(day - dt.timedelta(days=1)).not_valid_after(day + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    listener = CuttingProxy(1, wrap=lambda client: context.wrap_socket(client, server_side=True))
    try:
        settings = {"base_url": f"https://127.0.0.1:{listener.port}", "database": "prod", "user": "hub", "password": "x"}
        with pytest.raises(ConfigurationError, match="not trusted"):
            open_tryton(TrytonSettings.model_validate(settings)).fetch(PARTY, [])
        assert listener.seen == [], "the password was not sent"
        trusted = TrytonSettings.model_validate({**settings, "verify": tmp_path / "cert"})
        with pytest.raises(RemoteDown):  # nobody is behind this listener: the connection itself was taken
            open_tryton(trusted).fetch(PARTY, [])
        assert len(listener.seen) == 1
    finally:
        listener.close()


def test_between_two_calls_the_server_may_be_killed_and_come_back(tryton: TrytonServer, direct: TrytonRemote) -> None:
    [made] = direct.write(PARTY, creates("survivor"))
    assert made.key is not None
    tryton.kill()
    with pytest.raises(RemoteDown):
        direct.fetch(PARTY, [made.key])
    with pytest.raises(RemoteDown):
        direct.write(PARTY, creates("not sent"))
    tryton.start()
    assert only(direct.fetch(PARTY, [made.key]))["code"] == "survivor"
    assert len(direct.find(PARTY, {"code": "not sent"})) == 0
    assert [receipt.state for receipt in direct.write(PARTY, creates("after"))] == ["delivered"]


@pytest.mark.parametrize("after", [  # seconds; None: before it can answer, for certain
    None, pytest.param(0.1, marks=pytest.mark.slow), pytest.param(0.4, marks=pytest.mark.slow)])
def test_killed_during_a_batch_it_was_done_whole_or_not_at_all(
    tryton: TrytonServer, remote: TrytonRemote, proxy: CuttingProxy, after: float | None
) -> None:
    references = [f"kill-{after}-{number}" for number in range(200)]
    killer = threading.Timer(after or 0, tryton.kill)
    proxy.plan.append(tryton.kill if after is None else killer.start)
    receipts = remote.write(PARTY, creates(*references))
    if after is None:
        assert {receipt.state for receipt in receipts} == {"unclear"}
    else:
        killer.join()
    tryton.start()
    again = open_tryton(tryton.settings())
    try:
        found = sum(len(again.find(PARTY, {"code": one})) for one in references)
        assert found in {0, 200}
        assert {receipt.state for receipt in receipts} in ({"unclear"}, {"delivered"})
        if receipts[0].state == "delivered":
            assert found == 200
    finally:
        again.close()


def test_settings_tell_what_is_wrong_with_them(tmp_path: Path) -> None:
    right = {"base_url": "https://erp.example", "database": "prod", "user": "hub", "password": "x"}
    assert Wire(TrytonSettings.model_validate(right)).url == "https://erp.example/prod/rpc/"
    for wrong in ({"base_url": "erp.example"}, {"base_url": "https://hub:x@erp.example"}, {"password": None},
                  {"password_file": tmp_path}, {"database": "a/b"}, {"timeout": 0}, {"pasword": "x"}):
        with pytest.raises(ValueError, match=r"(?i)validation error"):
            TrytonSettings.model_validate({**right, **wrong})
    missing = TrytonSettings.model_validate({**right, "password": None, "password_file": tmp_path / "none"})
    with pytest.raises(ConfigurationError, match="password file"):
        missing.secret()
    (tmp_path / "word").write_text("p a s s\nsecond line\n", "utf-8")
    assert missing.model_copy(update={"password_file": tmp_path / "word"}).secret() == "p a s s"
