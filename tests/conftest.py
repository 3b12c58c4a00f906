"""What the whole test run shares."""

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import settings

from databases import postgres

pytest_plugins = ("plugins.budget", "plugins.lab_times")
"""Pieces of the test run that are not tests."""

# "fuzz" is what `make fuzz` runs: the same properties, a hundred times as many examples.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server, started when a test first asks for it."""
    with postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A URL under which PostgreSQL has no tables yet."""
    schema = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}")
    separator = "&" if "?" in postgres_server else "?"
    yield f"{postgres_server}{separator}options=-csearch_path%3D{schema}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA {schema} CASCADE")
