"""Servers of the contract room."""

from __future__ import annotations

from tests.tryton_desk import another, others, tryton

__all__ = ["another", "others", "tryton"]
