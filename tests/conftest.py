from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.cast")  # before it is imported

from config.charset import remove_charset  # noqa: E402
from tests.cast import ApiClient  # noqa: E402

pytest_plugins = ["finta_keys.pytest_plugin", "tests.cast"]

# As config.wsgi does, which Django's test client does not use.
ApiClient.convert_content_type = staticmethod(remove_charset)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # Collecting them costs a second per process, and the browser
    # driver is installed only for browser tests.
    is_for_later = collection_path.parent == Path(__file__).parent and collection_path.name in ("slow", "browser")
    return (is_for_later and config.getoption("markexpr") != collection_path.name) or None


@pytest.fixture(autouse=True)
def _mail_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads do not see the transaction of the test."""
    monkeypatch.setattr("accounts_app.sign_in.background.submit", lambda job: job())


@pytest.fixture(autouse=True)
def _reset_rate_limits() -> None:
    from accounts_app import limiter

    limiter._build_limiter.cache_clear()
    limiter._breaker.cache_clear()
    limiter._logged_at.clear()
