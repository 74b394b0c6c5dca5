"""Entities as assets, between the systems that fill them and those that will receive them: counters of the records."""

from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, asset

from mappings.language.entities import Entity
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.orchestration.describing import entity_description, entity_metadata
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.names import CRM, entity_key, flow_key
from pipelines.orchestration.standing import count_entity
from pipelines.orchestration.telling import Metadata, table


def filled_entities(project: Project) -> list[Entity]:
    """The entities that any flow fills; one that none fills would stand in the graph alone, for ever grey."""
    names = {into.entity for flow in project.flows.values() for into in flow.into}
    return [entity for name, entity in project.entities.items() if name in names]


def entity_asset(project: Project, entity: Entity) -> AssetsDefinition:
    """The asset of an entity; it comes after every flow that fills it."""
    flows = [flow for flow in project.flows.values() if any(into.entity == entity.name for into in flow.into)]

    @asset(
        key=entity_key(entity.name), deps=[flow_key(flow) for flow in flows], group_name=CRM, kinds={"postgres"},
        description=entity_description(project, entity), metadata=entity_metadata(entity),
    )
    def count_records(context: AssetExecutionContext, hub: HubResource) -> MaterializeResult[Any]:
        del context
        return MaterializeResult(metadata=entity_counts(hub.open(), entity.name))

    return count_records


def entity_counts(hub: Hub, name: str) -> Metadata:
    """Records, archived ones, by type and by the systems that know them."""
    count = count_entity(hub, name)
    told: Metadata = {
        "dagster/row_count": count.records, "records": count.records, "archived": count.archived,
        "linked": table({"system": "string", "records": "int"}, count.links),
    }
    if count.types:
        told["types"] = table({"type": "string", "records": "int"}, count.types)
    return told
