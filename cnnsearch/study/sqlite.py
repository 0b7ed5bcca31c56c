"""Is a SQLite storage fit to be written? It is made from the record, so a damaged one is set aside and made anew.

Whoever looks at it locks it while he looks. Optuna would wait for him for half a minute, and then give up the study.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def set_aside_damaged(path: Path) -> None:
    """Rename a SQLite file that SQLite itself calls damaged; one that is only locked or unreadable is left alone."""
    if path.exists() and _is_damaged(path):
        set_aside(path, "damaged")


def set_aside(path: Path, why: str) -> None:
    """Rename a SQLite file; its journal would not fit the new one."""
    path.replace(path.with_name(f"{path.name}.{why}"))
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def _is_damaged(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_free(path: Path, patience: float) -> bool:
    """Tell whether nobody else reads or writes a file, now or within so many seconds."""
    try:
        with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode not in LOCKED  # of anything else who writes will tell
    return True
