"""What workspace.yaml loads: the Dagster definitions of the project in NAVETTE_PROJECT, or in the current folder."""

from mappings.language.project import require_project
from pipelines.orchestration.place import project_root
from pipelines.orchestration.project_definitions import build_definitions

defs = build_definitions(require_project(project_root()))
