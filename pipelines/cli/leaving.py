"""How the command begins and leaves: with little waste.

Most of what a process makes at first (modules, classes, tables, statements) stays until its end. To look through it for
garbage after every 700 new objects costs a quarter of the imports; to take it apart at the end, most of a second.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

from pipelines.cli.app import main

GARBAGE = (50_000, 20, 20)


def command() -> None:
    """`main`, as it is installed. What was to be done at the end is done, and what was said is out; then nothing is put
    away piece by piece that the system puts away whole. An error that nobody handled takes Python's own way."""
    gc.set_threshold(*GARBAGE)
    try:
        main()
    except SystemExit as left:
        code = left.code
    else:
        code = 0
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    with suppress(OSError):  # nobody may be reading any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
