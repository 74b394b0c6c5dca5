"""What Dagster's catalogue says of flows and entities before anything has run: where from, where to, by what rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableSchema

from mappings.language.entities import Entity, Mastery
from mappings.language.field import FieldMap
from mappings.language.flow import Flow, Into
from mappings.language.project import Project

_KINDS = {"csv": "csv", "excel": "excel", "jsonl": "json", "fixed": "text", "fec": "csv"}


def flow_kinds(flow: Flow) -> set[str]:
    """The badge of the asset: the form of its files, where the mapping says it."""
    form = flow.read.format
    return {next((kind for name, kind in _KINDS.items() if getattr(form, name, None) is not None), "file")}


def flow_description(project: Project, flow: Flow) -> str:
    """A few lines: what it is, where its files come from, what they fill, when it runs and when it is late."""
    system = project.systems[flow.system]
    label = system.label or flow.system
    lines = [flow.description or f"What {label} says of {_listed(into.label for into in flow.into)}."]
    facts = []
    if flow.read.files:
        where = f" in `{system.folder}`" if system.folder else ""
        whole = "each holds everything" if flow.read.full else "each holds changes"
        facts.append(f"Reads `{flow.read.files}`{where} of {label}; {whole}.")
    facts += [f"Fills {_filled(flow, into)}." for into in flow.into]
    if flow.read.expected_by:
        every = f" each {flow.read.every}" if flow.read.every else ""
        facts.append(f"Expected by {flow.read.expected_by}{every}.")
    if flow.schedule is not None and flow.schedule.lines:
        lines_of_cron = [f"{name} `{line}`" for name, line in flow.schedule.lines.items()]
        facts.append(f"Scheduled {', '.join(lines_of_cron)} ({flow.schedule.timezone}).")
    limits = [f"{name} {limit:.0%}" for name, limit in flow.guard.model_dump().items() if limit is not None]
    facts.append(f"Asks a person beyond: {', '.join(limits) or 'no limit is set'}.")
    return "\n\n".join([*lines, "\n".join(f"- {fact}" for fact in facts)])


def _filled(flow: Flow, into: Into) -> str:
    absent = f"; absent entries: {into.absent}" if into.absent != "ignore" else ""
    return f"{into.entity} by key `{' + '.join(str(part) for part in into.key)}` (ids `{flow.space_of(into)}`){absent}"


def flow_metadata(project: Project, flow: Flow) -> dict[str, Any]:
    """The mapping: as columns with their sources, as YAML with everything inherited, and where it is written."""
    columns = [
        TableColumn(name if len(flow.into) == 1 else f"{into.label}.{name}", _type(project, into, name),
                    description=source_of(line), constraints=TableColumnConstraints(nullable=not line.required))
        for into in flow.into for name, line in into.fields.items()
    ]
    return {
        "dagster/column_schema": TableSchema(columns=columns),
        "mapping": MetadataValue.md(f"```yaml\n{project.flow_text(flow.flow)}```"),
        "written_in": project.trees[flow.flow].spot.file,
    }


def _type(project: Project, into: Into, name: str) -> str:
    spec = project.entities[into.entity].fields.get(name)
    return spec.type if spec is not None else "boolean" if name == "archived" else "choice"


def source_of(line: FieldMap) -> str:
    """Where a field's value comes from, in a few words."""
    if line.from_ is not None:
        source = f"from {line.from_}"
    elif line.first:
        source = f"first of {_listed(line.first)}"
    elif line.join is not None:
        source = f"{_listed(line.join.columns)} joined"
    elif line.compute is not None:
        source = f"computed: {line.compute}"
    else:
        source = f"always {line.constant!r}"
    notes = [f"as {line.as_}" if line.as_ else "", f"refers to {line.refers.entity}" if line.refers else "",
             f"codes {line.values}" if isinstance(line.values, str) else ""]
    return ", ".join([source, *filter(None, notes)])


def entity_description(project: Project, entity: Entity) -> str:
    """Who fills it, and who owns its fields."""
    flows = [flow.flow for flow in project.flows.values() if any(into.entity == entity.name for into in flow.into)]
    lines = [f"{entity.label} records of the CRM store (table `crm.{entity.name}`).",
             f"- Filled by {_listed(flows)}."]
    if entity.types:
        lines.append(f"- Types {_listed(entity.types)}.")
    return "\n".join([lines[0], "", *lines[1:]])


def entity_metadata(entity: Entity) -> dict[str, Any]:
    """The fields with their types and masters."""
    columns = [
        TableColumn(
            name, spec.type, description="; ".join(filter(None, [spec.label, _owned(entity.masters.get(name))])),
            constraints=TableColumnConstraints(nullable=not spec.required),
        )
        for name, spec in entity.fields.items()
    ]
    return {"dagster/column_schema": TableSchema(columns=columns)}


def _owned(masters: dict[str, Mastery] | None) -> str:
    told = []
    for kind, mastery in (masters or {}).items():
        owner = " then ".join(mastery.systems) if mastery.kind == "systems" else mastery.kind
        told.append(owner if kind == "else" else f"{owner} for {kind}")
    return f"master: {_listed(told)}" if told and told != ["shared"] else ""


def _listed(names: Any) -> str:
    return ", ".join(f"{name}" for name in _flat(names)) or "nothing yet"


def _flat(names: Any) -> Iterator[Any]:
    yield from names
