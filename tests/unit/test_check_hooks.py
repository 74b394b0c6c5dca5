"""`check` of what lets systems call: secrets, flows that take calls, and what a call cannot bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.check.project import check_project
from tests.check_desk import lay

HOOKED = """\
flow: calls
system: shop
read: {hook: true}
into: {entity: company, key: id, fields: {name: name}}
schedule: {live: true}
"""
SHOP = "systems:\n  shop: {connector: file, hooks: {secret: '${S}'}}\n  erp: {connector: file, folder: drop}\n"
ENV = {"S": "sixteen characters"}


def told(root: Path, flow: str = HOOKED, systems: str = SHOP, env: dict[str, str] = ENV) -> list[str]:
    lay(root, {"systems.yaml": systems, "flows/calls.yaml": flow})
    return [str(problem).removeprefix("mappings/") for problem in check_project(root, env, builtin=root / "mappings/b")]


def test_a_system_that_only_calls_needs_no_folder(tmp_path: Path):
    assert told(tmp_path) == []


@pytest.mark.parametrize(("hooks", "what"), [
    ("{secret: in the file itself}", "a secret may not stand in this file"),
    ("{secret: ['${S}', written here as well]}", "a secret may not stand in this file"),
    ("{}", "what are its calls signed with"),
    ("{secret: '${S}', secret_file: x}", "what are its calls signed with"),
    ("{secret: '${SHORT}'}", "hooks"),
    ("{secret: '${S}', window: long}", "a time such as 2s"),
    ("{secret: '${S}', rate: 0}", "above 0"),
    ("{secret: '${S}', sekret: 1}", "unknown key 'sekret'"),
])
def test_what_calls_are_signed_with_is_looked_at(tmp_path: Path, hooks: str, what: str):
    found = told(tmp_path, systems=SHOP.replace("{secret: '${S}'}", hooks), env=ENV | {"SHORT": "too-short-one"})
    assert any(what in line and line.startswith("systems.yaml:2:") for line in found), found
    assert "sixteen" not in str(found)
    assert "too-short-one" not in str(found)


@pytest.mark.parametrize(("before", "after", "what"), [
    ("system: shop", "system: erp", "what are the calls of erp signed with"),
    ("key: id", "key: [$company, id]", "$company"),
    ("key: id", "key: 1", "no positions"),
    ("read: {hook: true}", "read: {files: '*.csv'}", "live is for systems that answer"),
    ("read: {hook: true}", "read: {hook: true, files: '*.csv'}", "shop has no folder"),
    ("read: {hook: true}", "direction: out\nwrite: {files: 'a.csv'}", "shop has no folder"),
    ("read: {hook: true}", "read: {hook: maybe}", "expected true or false"),
])
def test_a_flow_that_takes_calls_is_looked_at(tmp_path: Path, before: str, after: str, what: str):
    found = told(tmp_path, HOOKED.replace(before, after))
    assert any(what in line and line.startswith("flows/calls.yaml:") for line in found), found
