"""What people ask and decide while flows run: rejects, reviews, conflicts, status, and what happened to a key.

::

    sync.held ──────▶ held_rows ──┬─▶ rejects ─▶ export      the command line, Dagster
    staging (review) ─┘           ├─▶ reviews, conflicts     and pipelines.reports
    sync.run, file ─▶ status      └─▶ trace
"""
