"""Alice and Bob with their accounts, keys and clients, for the tests of any project with these models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import current_thread, main_thread
from types import SimpleNamespace
from typing import Any, ClassVar

import hypothesis
import pytest
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import Client

from accounts_app.models import Account, User
from finta_keys import standby
from finta_keys.testing import make_key
from tests.factories import AccountFactory, UserFactory

# Durations depend on the machine.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


class ApiClient(Client):
    """A client that sends a secret and returns 500 responses instead of raising."""

    convert_content_type: ClassVar[Callable[[str], str]] = str  # applied to this header, as a server would

    def __init__(self, secret: str | None = None, **defaults: Any) -> None:
        headers = {"authorization": f"Bearer {secret}"} if secret else None
        super().__init__(headers=headers, raise_request_exception=False, **defaults)

    def request(self, **environ: Any) -> Any:
        environ["CONTENT_TYPE"] = self.convert_content_type(environ.get("CONTENT_TYPE", ""))
        return super().request(**environ)

    def send(self, method: str, path: str, data: Any = None, **extra: Any) -> Any:
        """Send a request of any method, ``data`` as JSON."""
        if data is not None:
            extra = {"data": data, "content_type": "application/json", **extra}
            return getattr(self, method.lower())(path, **extra)
        return self.generic(method.upper(), path, **extra)


@pytest.fixture
def alice(db: None) -> User:
    return UserFactory(email="alice@example.com")


@pytest.fixture
def bob(db: None) -> User:
    return UserFactory(email="bob@example.com")


@pytest.fixture
def accounts(alice: User) -> SimpleNamespace:
    """Alice's accounts: checking, savings, and cash, which is manual."""
    return SimpleNamespace(
        checking=AccountFactory(owner=alice, name="Checking"),
        savings=AccountFactory(owner=alice, name="Savings"),
        cash=AccountFactory(owner=alice, name="Cash", provider="manual", provider_account_id=""),
    )


@pytest.fixture
def bobs_account(bob: User) -> Account:
    return AccountFactory(owner=bob, name="Bob's")


@pytest.fixture
def restricted(alice: User, accounts: SimpleNamespace) -> SimpleNamespace:
    """Alice's key for the checking account, with its secret and a client."""
    key, secret = make_key(alice, "Restricted", [accounts.checking])
    return SimpleNamespace(key=key, secret=secret, client=ApiClient(secret))


@pytest.fixture
def unrestricted(alice: User, accounts: SimpleNamespace) -> SimpleNamespace:
    """Alice's key for all accounts, with its secret and a client."""
    key, secret = make_key(alice, "All accounts")
    return SimpleNamespace(key=key, secret=secret, client=ApiClient(secret))


@pytest.fixture
def alices_browser(alice: User) -> Client:
    """A client signed in as Alice."""
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def other_threads_close_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django keeps connections to in-memory databases open in all threads."""
    monkeypatch.setattr(DatabaseWrapper, "is_in_memory_db", lambda _: current_thread() is main_thread())


@pytest.fixture
def waits(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Changes wait for a standby, which is away. Yields the timeouts of the waits."""
    settings.FINTA_KEYS_STANDBY_TIMEOUT = 5
    monkeypatch.setattr(standby, "_last_wait_failed", False)
    timeouts: list[float] = []

    def wait(timeout: float) -> bool:
        timeouts.append(timeout)
        return False

    monkeypatch.setattr(standby, "_commit_on_standby", wait)
    yield timeouts
    standby.take_unconfirmed()
