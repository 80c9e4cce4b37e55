"""System checks of the site."""

import pytest
from django.core import checks as django_checks

from accounts_app import checks


@pytest.fixture
def workers(monkeypatch):
    """Set ``WEB_CONCURRENCY``."""
    return lambda number: monkeypatch.setenv("WEB_CONCURRENCY", number)


class TestE004:
    @pytest.mark.parametrize(
        "storage",
        [
            *("redys://:s3cret@localhost", "localhost:6379", "redis://h:s3cret", ""),
            "redis+cluster://:s3cret@127.0.0.1:1",
        ],
    )
    def test_invalid_storage_is_reported_without_value(self, settings, storage):
        settings.RATE_LIMIT_STORAGE = storage
        (message,) = checks.check_rate_limit_storage_url(None)
        assert message.id == "accounts_app.E004"
        assert message.is_serious()
        assert "redis://host:6379" in message.hint
        assert "s3cret" not in message.msg + message.hint

    @pytest.mark.parametrize(
        "storage", ["memory://", "memory:", "redis://h:6379", "rediss://h", "redis+unix:///r.sock"]
    )
    def test_valid_storage_passes(self, settings, storage):
        settings.RATE_LIMIT_STORAGE = storage
        assert checks.check_rate_limit_storage_url(None) == []


class TestW002:
    @pytest.mark.parametrize("number", ["2", " 12 "])
    @pytest.mark.parametrize("storage", ["memory://", "memory:"])
    def test_workers_with_memory_storage_are_reported(self, settings, workers, number, storage):
        settings.RATE_LIMIT_STORAGE = storage
        workers(number)
        (message,) = checks.check_rate_limit_storage_is_shared(None)
        assert message.id == "accounts_app.W002"
        assert message.msg.startswith(f"WEB_CONCURRENCY is {int(number)}")
        assert "RATE_LIMIT_STORAGE" in message.hint
        assert not message.is_serious()

    @pytest.mark.parametrize("number", ["1", "0", "", "-2", "many", "2.5"])
    def test_one_worker_passes(self, settings, workers, number):
        workers(number)
        assert settings.RATE_LIMIT_STORAGE == "memory://"
        assert checks.check_rate_limit_storage_is_shared(None) == []

    def test_unset_worker_count_passes(self, monkeypatch):
        monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
        assert checks.check_rate_limit_storage_is_shared(None) == []

    def test_workers_with_shared_storage_pass(self, settings, workers):
        settings.RATE_LIMIT_STORAGE = "redis://localhost:6379/0"
        workers("4")
        assert checks.check_rate_limit_storage_is_shared(None) == []

    def test_worker_check_needs_deploy(self):
        registry = django_checks.registry.registry
        assert checks.check_rate_limit_storage_is_shared in registry.deployment_checks
        assert checks.check_rate_limit_storage_is_shared not in registry.registered_checks
