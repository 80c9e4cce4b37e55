"""What the system checks of the site find before it fails late."""

import pytest
from django.core import checks as django_checks

from accounts_app import checks


@pytest.fixture
def workers(monkeypatch):
    """Tell gunicorn by the environment how many workers to start."""
    return lambda number: monkeypatch.setenv("WEB_CONCURRENCY", number)


class TestE004:
    @pytest.mark.parametrize("storage", ["redys://:s3cret@localhost", "localhost:6379", "redis://h:s3cret", ""])
    def test_a_storage_that_cannot_be_used_is_found_and_not_quoted(self, settings, storage):
        settings.RATE_LIMIT_STORAGE = storage
        (message,) = checks.check_kind_of_storage(None)
        assert message.id == "accounts_app.E004"
        assert message.is_serious()
        assert "redis://host:6379" in message.hint
        assert "s3cret" not in message.msg + message.hint

    @pytest.mark.parametrize(
        "storage", ["memory://", "memory:", "redis://h:6379", "rediss://h", "redis+unix:///r.sock"]
    )
    def test_one_that_can_be_used_is_fine(self, settings, storage):
        settings.RATE_LIMIT_STORAGE = storage
        assert checks.check_kind_of_storage(None) == []


class TestW002:
    @pytest.mark.parametrize("number", ["2", " 12 "])
    @pytest.mark.parametrize("storage", ["memory://", "memory:"])
    def test_several_workers_that_count_for_themselves_are_found(self, settings, workers, number, storage):
        settings.RATE_LIMIT_STORAGE = storage
        workers(number)
        (message,) = checks.check_rate_limit_storage(None)
        assert message.id == "accounts_app.W002"
        assert message.msg.startswith(f"WEB_CONCURRENCY asks for {int(number)} workers")
        assert "RATE_LIMIT_STORAGE" in message.hint
        assert not message.is_serious()

    @pytest.mark.parametrize("number", ["1", "0", "", "-2", "many", "2.5"])
    def test_one_worker_or_a_number_that_gunicorn_refuses_is_fine(self, settings, workers, number):
        workers(number)
        assert settings.RATE_LIMIT_STORAGE == "memory://"
        assert checks.check_rate_limit_storage(None) == []

    def test_where_the_environment_says_nothing_nothing_is_known(self, monkeypatch):
        monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
        assert checks.check_rate_limit_storage(None) == []

    def test_workers_that_share_a_storage_are_fine(self, settings, workers):
        settings.RATE_LIMIT_STORAGE = "redis://localhost:6379/0"
        workers("4")
        assert checks.check_rate_limit_storage(None) == []

    def test_it_is_for_deployments_only(self):
        registry = django_checks.registry.registry
        assert checks.check_rate_limit_storage in registry.deployment_checks
        assert checks.check_rate_limit_storage not in registry.registered_checks
