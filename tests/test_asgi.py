"""The site under ASGI, with each request in its own tasks and threads."""

import asyncio

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connections

from finta_keys.models import AccountUsage, KeyUsage
from finta_keys.testing import count_usage, make_key
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_thread(monkeypatch, other_threads_close_connections):
    """Django recommends this for ASGI."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


async def call(application, path, secret):
    """Return the status of a request with this secret."""
    headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {secret}".encode())]
    page = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    communicator = ApplicationCommunicator(application, page)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(timeout=20)
    await communicator.receive_output(timeout=20)
    await communicator.wait(timeout=20)
    return start["status"]


def request_all(*calls):
    """Send all requests in parallel to one application."""

    async def together():
        application = get_asgi_application()
        return await asyncio.gather(*(call(application, *call_) for call_ in calls))

    return asyncio.run(together())


@pytest.mark.rule("S3")
def test_parallel_requests_use_their_own_keys(alice, bob):
    own = {}
    for owner in (alice, bob):
        for account in AccountFactory.create_batch(3, owner=owner):
            _, secret = make_key(owner, accounts=[account])
            own[f"/v2/accounts/{account.pk}"] = secret
    for path, secret in own.items():  # Save the use of each key now: SQLite in memory cannot write and read at once.
        assert request_all((path, secret)) == [200]
    calls = [(path, secret) for path in own for secret in own.values()]
    assert request_all(*calls) == [200 if own[path] == secret else 404 for path, secret in calls]


@pytest.mark.rule("T3")
def test_usage_is_recorded(restricted, unrestricted):
    assert request_all(("/v2/accounts", restricted.secret)) == [200]
    restricted.key.refresh_from_db()
    unrestricted.key.refresh_from_db()
    assert restricted.key.last_used_at is not None
    assert unrestricted.key.last_used_at is None


@pytest.mark.rule("H2")
def test_use_is_counted(restricted, accounts):
    with count_usage():
        assert request_all(("/v2/accounts", restricted.secret)) == [200]
        assert request_all(("/v2/accounts/unknown", restricted.secret)) == [404]
    (row,) = KeyUsage.objects.all()
    assert (row.requests, row.reads, row.refused) == (2, 1, 1)
    assert AccountUsage.objects.get().account_id == str(accounts.checking.pk)


@pytest.mark.rule("K4")
def test_changes_apply_to_next_asgi_request(restricted):
    assert request_all(("/v2/accounts", restricted.secret)) == [200]
    fresh = restricted.key.rotate()
    assert request_all(("/v2/accounts", restricted.secret), ("/v2/accounts", fresh)) == [401, 200]
    restricted.key.delete()
    assert request_all(("/v2/accounts", fresh)) == [401]
