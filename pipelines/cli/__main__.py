"""`python -m pipelines.cli`: the command, for who starts it with the interpreter at hand (`navette up`)."""

from pipelines.cli.leaving import command

command()
