"""Runs: one execution of a flow, from taking a file in to its report; knows no Dagster and no terminal."""
