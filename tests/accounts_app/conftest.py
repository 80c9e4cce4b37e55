"""No request by a key in these tests may read or change rows outside the scope of the key."""

import pytest


@pytest.fixture(autouse=True)
def _watch(watch_scope: list[str]) -> None:
    """Run each test under ``watch_scope()``."""
