"""Tryton: one ERP's JSON-RPC, with its typed values, its own stamps and its optimistic lock."""
