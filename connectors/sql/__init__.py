"""PostgreSQL databases of other systems, read and written as tables, views and queries.

::

    open.py ─ settings.py        what the integrator says
       └ remote.py               the port (connectors.remote)
          ├ session.py           connections, and what their errors mean (faults.py)
          ├ relation.py          what a table, view or query is made of (catalog.sql)
          ├ cells.py             its columns as text cells, and text cells as its types
          ├ source.py            a read under way, on a connection of readers.py: stream.py by COPY, changed.py by
          │                      stamps, tracking.py by change table
          ├ lookup.py            fetch and find
          ├ write.py             create, update, archive and delete, in sets (batch.py)
          └ preparing.py         the change table, made and taken away again (change_table.sql)
"""
