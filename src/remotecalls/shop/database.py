"""Where a shop is kept, said by a URL."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from remotecalls.shop.repository import Repository
from remotecalls.shop.sqlite import SQLiteRepository

FORMS = "a path, sqlite:///path or postgresql://user@host:port/database"


class DatabaseUnavailable(Exception):
    """No database is there, or it cannot be used."""


@contextmanager
def open_repository(where: str) -> Iterator[Repository]:
    """The repository in a database, for as long as the block lasts.

    Args:
        where: a path or `sqlite:///path` for an SQLite file, which is made if it is missing;
            `postgresql://user@host:port/database` for a PostgreSQL server.

    Raises:
        DatabaseUnavailable: it is neither, or the database cannot be opened.
    """
    scheme = urlsplit(where).scheme if "://" in where else ""
    with ExitStack() as stack:
        if scheme in {"postgresql", "postgres"}:
            repository = _open_postgres(where, stack)
        elif scheme in {"", "sqlite"}:
            repository = _open_sqlite(where.removeprefix("sqlite:///"), stack)
        else:
            raise DatabaseUnavailable(f"{where!r} names no database: write {FORMS}")
        yield repository


def _open_sqlite(path: str, stack: ExitStack) -> Repository:
    try:
        return stack.enter_context(SQLiteRepository(Path(path)))
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"{path}: {error}") from error


def _open_postgres(url: str, stack: ExitStack) -> Repository:
    # Its driver takes a fifth of a second to import, which a shop in a file need not wait for.
    import psycopg

    from remotecalls.shop.postgres import PostgresRepository

    try:
        return stack.enter_context(PostgresRepository(url))
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"{url}: {error}") from error


@contextmanager
def temporary_repository() -> Iterator[SQLiteRepository]:
    """A repository in an SQLite file that goes with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="remotecalls-") as directory,
        SQLiteRepository(Path(directory) / "shop.db") as repository,
    ):
        yield repository
