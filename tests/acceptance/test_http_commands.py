"""`navette token`, `inbox`, `status` and `serve`: what people see of what is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from mappings.errors import ConfigurationError
from pipelines.cli import inbox, serve, status, token
from pipelines.cli.app import app
from pipelines.http.serving import Place, server_of
from pipelines.http.signature import Caller as KnownCaller
from pipelines.ops.served import to_serve
from pipelines.ops.tokens import create_token, revoke_token
from tests.acceptance.test_live import eventually
from tests.http_desk import SECRET, Caller, caller, module_road, road
from tests.road_desk import Road

__all__ = ["caller", "module_road", "road"]

for group in (inbox, serve, status, token):
    group.register(app)


@pytest.fixture
def desk(road: Road, monkeypatch: pytest.MonkeyPatch) -> Road:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: road.hub)
    return road


def said(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def told(*words: str) -> Any:
    return orjson.loads(said(*words, "--json").stdout)


def test_a_token_is_shown_once_listed_without_it_and_revoked(desk: Road, caller: Caller) -> None:
    made = said("token", "create", "web_shop").stdout.strip()
    assert made.startswith("nvt_")
    assert caller.send("GET", "/crm/company", None, {"Authorization": f"Bearer {made}"}).status == 200
    assert said("token", "create", "web_shop").exit_code == 1
    assert said("token", "create", "Web Shop").exit_code == 1
    assert said("token", "create", "x", "--role", "navette_hub").exit_code == 1
    listed = said("token", "list").stdout
    assert "web_shop" in listed
    assert made[4:] not in listed + str(told("token", "list"))
    assert said("token", "revoke", "web_shop").exit_code == 0
    assert caller.send("GET", "/crm/company", None, {"Authorization": f"Bearer {made}"}).status == 401


def test_a_project_has_something_to_serve_where_a_flow_takes_calls_or_a_token_stands(desk: Road) -> None:
    assert to_serve(desk.hub)
    without = replace(desk.hub, project=replace(desk.hub.project, flows={}))
    assert not to_serve(without)
    create_token(desk.hub, "web_shop")
    assert to_serve(without)
    revoke_token(desk.hub, "web_shop")
    assert not to_serve(without)


def test_status_counts_what_waits_and_what_was_refused(desk: Road, caller: Caller) -> None:
    caller.post({"id": 1, "version": 1, "name": "x"})
    caller.post({"id": 1}, secret="a-secret-of-somebody")
    caller.post({"id": 1}, path="/hooks/nobody/at_all")
    eventually(lambda: {(row["system"], row["what"]): row["count"] for row in told("status")["calls"]},
               {("shop", "signature"): 1, ("", "signature"): 1})
    assert [flow["calls"] for flow in told("status")["flows"]] == [{"waiting": 1}, {}]
    shown = said("status").stdout
    assert "calls of shop: 1 refused for their signature" in shown
    assert "calls of unknown systems: 1 refused for their signature" in shown


def test_the_inbox_is_listed_shown_and_dismissed(desk: Road, caller: Caller) -> None:
    number = str(caller.post({"id": 1, "version": 1, "name": "x"}, key="k").told["receipt"])
    assert [call["number"] for call in told("inbox", "list")["calls"]] == [int(number)]
    assert orjson.loads(said("inbox", "show", number).stdout) == {"id": 1, "version": 1, "name": "x"}
    assert said("inbox", "retry", number).exit_code == 1  # it waits already
    assert said("inbox", "dismiss", number).exit_code == 0
    assert told("inbox", "list")["calls"] == []
    assert [call["state"] for call in told("inbox", "list", "--all")["calls"]] == ["dismissed"]
    assert said("inbox", "show", "404").exit_code == 1


def test_what_others_can_reach_is_encrypted(desk: Road, tmp_path: Path) -> None:
    refused = said("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.exit_code == 1
    with pytest.raises(ConfigurationError, match="nothing is encrypted"):
        server_of(lambda *_: None, Place("192.0.2.1"))  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigurationError, match="there is no file"):
        server_of(lambda *_: None, Place("0.0.0.0", certificate=tmp_path / "none.pem"))  # type: ignore[arg-type,return-value]
    for place in (Place("127.0.0.1"), Place("::1"), Place("localhost"), Place("0.0.0.0", plain=True)):
        server_of(lambda *_: None, place)  # type: ignore[arg-type,return-value]


def test_a_port_that_is_taken_is_told(desk: Road, caller: Caller) -> None:
    assert said("serve", "--port", str(caller.port)).exit_code == 1


def test_a_secret_is_read_from_its_file(desk: Road) -> None:
    hooks = desk.project.systems["shop"].hooks
    assert hooks is not None
    named = hooks.model_copy(update={"secret": (), "secret_file": "shop.secret"})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KnownCaller.of("shop", named, desk.root)
    path = desk.root / "shop.secret"
    path.write_text("short\n")
    with pytest.raises(ConfigurationError, match="holds no secret of 16 characters"):
        KnownCaller.of("shop", named, desk.root)
    path.write_text(f"{SECRET}\nthe other one of the two\n".replace(" ", "-"))
    assert KnownCaller.of("shop", named, desk.root).secrets == [SECRET.encode(), b"the-other-one-of-the-two"]
    path.unlink()
    assert SECRET not in repr(desk.project.systems["shop"])
