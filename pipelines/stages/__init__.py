"""The road, one file per step; knows no Dagster.

::

    plan ─▶ land (read, decode, expect, stage) ─▶ decide (match, resolve) ─▶ guard ─▶ apply ─▶ absent
                        │                                                              │
                        └────────────────── held rows: rejected, parked, review ───────┘
"""
