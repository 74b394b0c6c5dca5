"""The command `navette`."""

from pipelines.cli.app import main
from pipelines.cli.leaving import command

__all__ = ["command", "main"]
