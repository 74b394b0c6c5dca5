"""Dagster around the road: assets, checks, sensors, schedules and jobs that call `pipelines.runs`, and `navette up`."""
