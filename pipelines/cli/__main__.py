"""`python -m pipelines.cli`: the command, for who starts it with the interpreter at hand (`navette up`)."""

from pipelines.cli.app import main

main()
