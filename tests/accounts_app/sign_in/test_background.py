"""Jobs that run after the response."""

import threading

import pytest
from django.db import connection, connections

from accounts_app.sign_in import background
from accounts_app.sign_in.forms import ResetPasswordForm
from config import environment
from tests.factories import UserFactory

SUBMIT = background.submit  # before conftest.py replaces it


@pytest.fixture(autouse=True)
def _real_queue(monkeypatch):
    monkeypatch.setattr(background, "submit", SUBMIT)


@pytest.fixture
def gate():
    """An event that lets blocked jobs continue. The queue is empty afterwards."""
    event = threading.Event()
    yield event
    event.set()
    assert background.wait(10)


def fill(gate):
    """Block the worker threads and fill the queue."""
    running = threading.Semaphore(0)

    def block():
        running.release()
        gate.wait(10)

    for _ in range(background.WORKERS):
        background.submit(block)
    for _ in range(background.WORKERS):
        assert running.acquire(timeout=10)
    while background.submit(lambda: None):
        pass


def test_queue_is_bounded(gate, caplog):
    before = threading.active_count()
    fill(gate)
    assert not background.submit(lambda: None)
    assert threading.active_count() - before <= background.WORKERS
    assert "queue" in caplog.text


def test_failing_job_does_not_stop_the_worker(caplog):
    done = threading.Event()
    for _ in range(background.WORKERS + 1):
        background.submit(lambda: 1 / 0)
    background.submit(done.set)
    assert done.wait(10)
    assert "ZeroDivisionError" in caplog.text


def test_wait_gives_up_after_timeout(gate):
    background.submit(lambda: gate.wait(10))
    assert not background.wait(0.05)


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_sending(other_threads_close_connections, monkeypatch):
    is_open = []
    monkeypatch.setattr(
        "django.contrib.auth.forms.PasswordResetForm.send_mail",
        lambda *args, **kwargs: is_open.append(connections["default"].connection is not None),
    )
    user = UserFactory()
    form = ResetPasswordForm({"email": user.email})
    assert form.is_valid()
    background.submit(lambda: form.save(domain_override="testserver"))
    assert background.wait(10)
    assert is_open == [False]
    assert connection.connection is not None  # the test's own


def test_mail_server_has_a_timeout():
    assert environment.mail("UNSET", "smtp://localhost")["EMAIL_TIMEOUT"] == 10
