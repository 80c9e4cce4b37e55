"""A database that is away, or that has become a standby: 503, and one log line a minute."""

import logging
from unittest import mock

import psycopg
import pytest
from django.db import InternalError, OperationalError
from django.test import Client

from accounts_app import unavailable

EXECUTE = "django.db.backends.utils.CursorWrapper.execute"
PATHS = ("/v2/health", "/accounts", "/admin/")


@pytest.fixture
def errors(monkeypatch, caplog):
    """The log of errors, with a new count."""
    monkeypatch.setattr(unavailable, "_log", unavailable.OutageLog())
    caplog.set_level(logging.ERROR)
    return caplog


@pytest.fixture
def client(alice):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


def on_a_standby(*args, **kwargs):
    raise InternalError("cannot execute INSERT") from psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT")


@pytest.mark.parametrize("path", PATHS)
def test_write_on_a_standby_is_a_503(client, errors, monkeypatch, path):
    connection = mock.Mock(in_atomic_block=False)
    monkeypatch.setattr(unavailable.connections, "all", lambda **kwargs: [connection])
    with mock.patch(EXECUTE, side_effect=on_a_standby):
        response = client.get(path)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    connection.close.assert_called_once_with()


@pytest.mark.parametrize("path", PATHS)
def test_other_internal_errors_are_a_500(client, errors, path):
    with mock.patch(EXECUTE, side_effect=InternalError("made up")):
        assert client.get(path).status_code == 500


def test_connection_with_open_transaction_is_kept(errors, monkeypatch):
    connection = mock.Mock(in_atomic_block=True)
    monkeypatch.setattr(unavailable.connections, "all", lambda **kwargs: [connection])
    with pytest.raises(InternalError) as raised:
        on_a_standby()
    unavailable.handle(raised.value)
    connection.close.assert_not_called()


def test_outage_is_logged_once_a_minute(client, errors):
    with mock.patch(EXECUTE, side_effect=OperationalError("made up")):
        for path in PATHS * 4:
            assert client.get(path).status_code == 503
        assert [record.args for record in errors.records] == [(1,)]
        unavailable._log._silent_until = 0
        client.get("/v2/health")
    assert [record.args for record in errors.records] == [(1,), (12,)]
    assert all(record.exc_info for record in errors.records)
