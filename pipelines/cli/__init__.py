"""The command `navette`."""

from pipelines.cli.app import main

__all__ = ["main"]
