"""Databases that several processes can share."""

from tests.concurrency.conftest import database_url, postgresql  # noqa: F401  # fixtures
