"""The same site under an asynchronous server: each request in tasks and threads of its own."""

import asyncio

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connections

from finta_keys.testing import make_key
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_thread(monkeypatch, other_threads_close_connections):
    """As Django says of asynchronous servers."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


async def call(application, path, secret):
    """Return the status that a key gets."""
    headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {secret}".encode())]
    asked = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    communicator = ApplicationCommunicator(application, asked)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(timeout=20)
    await communicator.receive_output(timeout=20)
    await communicator.wait(timeout=20)
    return start["status"]


def ask(*calls):
    """Send all of these at once to one application."""

    async def together():
        application = get_asgi_application()
        return await asyncio.gather(*(call(application, *each) for each in calls))

    return asyncio.run(together())


def test_each_of_many_requests_at_once_gets_what_its_own_key_sees(alice, bob):
    own = {}
    for owner in (alice, bob):
        for account in AccountFactory.create_batch(3, owner=owner):
            _, secret = make_key(owner, accounts=[account])
            own[f"/v2/accounts/{account.pk}"] = secret
    calls = [(path, secret) for path in own for secret in own.values()]
    assert ask(*calls) == [200 if own[path] == secret else 404 for path, secret in calls]


def test_T3_a_use_is_written(restricted, unrestricted):
    assert ask(("/v2/accounts", restricted.secret)) == [200]
    restricted.key.refresh_from_db()
    unrestricted.key.refresh_from_db()
    assert restricted.key.last_used_at is not None
    assert unrestricted.key.last_used_at is None


def test_K4_a_change_is_in_force_with_the_next_request(restricted):
    assert ask(("/v2/accounts", restricted.secret)) == [200]
    fresh = restricted.key.rotate()
    assert ask(("/v2/accounts", restricted.secret), ("/v2/accounts", fresh)) == [401, 200]
    restricted.key.delete()
    assert ask(("/v2/accounts", fresh)) == [401]
