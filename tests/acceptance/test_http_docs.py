"""What docs/http.md shows works as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson

from pipelines.ops.tokens import create_token
from tests.http_desk import SECRET, Caller, caller, module_road, road
from tests.road_desk import Road

__all__ = ["caller", "module_road", "road"]

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```(?:sh|python)\n# (.*?)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


def said(title: str, caller: Caller, **env: str) -> str:
    block = BLOCKS[title]
    command = [sys.executable, "-c", block] if "import " in block else ["bash", "-euc", block]
    address = f"http://127.0.0.1:{caller.port}"
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "NAVETTE": address, "SHOP_HOOK_SECRET": SECRET, "no_proxy": "*", **env})
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_a_call_as_it_is_shown_for_curl_and_for_python_is_kept(road: Road, caller: Caller) -> None:
    told = orjson.loads(said("a call, with curl", caller))
    assert told["rows"] == 1
    assert orjson.loads(said("a call, with curl", caller))["receipt"] == told["receipt"]
    assert said("a call, with Python alone", caller).strip().isdigit()
    assert road.one("SELECT count(*) FROM sync.inbox") == 2


def test_records_are_used_as_it_is_shown_for_curl_and_for_python(road: Road, caller: Caller) -> None:
    token = create_token(road.hub, "docs")
    assert '"version":2' in said("records, with curl", caller, NAVETTE_TOKEN=token)
    assert road.hub_sees("SELECT name, archived_at IS NOT NULL FROM crm.company") == [("Ascenseurs Hervé", True)]
    assert said("records, with Python alone", caller, NAVETTE_TOKEN=token).split("\n") == ["Mécanique Dumas", ""]
    assert road.one("SELECT city FROM crm.company WHERE archived_at IS NULL") == "Metz"
