"""`check`: what is wrong with a project, beyond what reading it already shows."""

from mappings.check.project import check_flow, check_project

__all__ = ["check_flow", "check_project"]
