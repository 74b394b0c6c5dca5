"""Servers of the contract room."""

from __future__ import annotations

from tests.tryton_desk import others, tryton

__all__ = ["others", "tryton"]
