"""Where a second system meets a record: what the field's master has said counts, also that it has nothing."""

from __future__ import annotations

from tests.road_desk import Road, roads

FLOW = """
flow: {system}
system: {system}
into: {{entity: company, key: CODE, match: [registration], fields: {{registration: REG, name: NAME, language: LANG}}}}
"""
FLOWS = {system: FLOW.format(system=system) for system in ("erp", "cmms")}  # which masters the language
module_road, road = roads(FLOWS)
HEAD = "CODE;REG;NAME;LANG"
ERP = (HEAD, "1;R1;One;fr", "2;R2;Two;fr")


def test_what_its_master_says_is_blank_no_other_system_fills(road: Road) -> None:
    road.run("cmms", HEAD, "m1;R1;One;")
    road.run("erp", *ERP)
    assert road.companies("name", "language") == [("One", None), ("Two", "fr")], "nobody else has the second"
    lost = road.hub_sees("SELECT key, theirs, winner, state FROM sync.conflict WHERE field = 'language'")
    assert lost == [("1", "fr", "crm", "logged")], "what lost stays readable"
    assert road.counts("cmms", HEAD, "m1;R1;One;") == {"unchanged": 1}
    assert road.counts("erp", *ERP) == {"unchanged": 2}
    road.run("cmms", HEAD, "m1;R1;One;de", "m2;R2;Two;")
    assert road.companies("name", "language") == [("One", "de"), ("Two", None)]
