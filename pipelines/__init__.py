"""The road and what runs it: stages, runs, reports, the command line and the Dagster definitions."""
