"""The responses 400, 500 and 503."""

from __future__ import annotations

import logging
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper
from rest_framework.response import Response

from accounts_app.api.views import HealthView, MeView
from tests.accounts_app.api_assertions import assert_error
from tests.accounts_app.api_errors.helpers import DETAILS
from tests.conftest import ApiClient


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", [RuntimeError, IntegrityError, DataError, KeyError, PermissionDenied])
def test_500_has_no_details_with_debug(client, settings, monkeypatch, caplog, kind, debug):
    settings.DEBUG = debug
    monkeypatch.setattr(MeView, "get", mock.Mock(side_effect=kind(DETAILS)))
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response.json()["error"]["message"] == "Something went wrong on our side."
    assert DETAILS in caplog.text  # in the log only


@pytest.mark.parametrize("debug", [False, True])
def test_unserializable_response_is_a_500(client, settings, monkeypatch, debug):
    settings.DEBUG = debug
    monkeypatch.setattr(MeView, "get", lambda *args: Response({"x": object()}))
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("debug", [False, True])
def test_middleware_error_is_a_500(client, settings, monkeypatch, debug):
    settings.DEBUG = debug
    fail = mock.Mock(side_effect=RuntimeError(DETAILS))
    monkeypatch.setattr("django.middleware.clickjacking.XFrameOptionsMiddleware.process_response", fail)
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response["Vary"] == "Authorization"


@pytest.mark.parametrize("error", [SuspiciousOperation(DETAILS), RequestDataTooBig(DETAILS)])
def test_suspicious_operation_is_a_400(client, monkeypatch, error):
    monkeypatch.setattr(MeView, "get", mock.Mock(side_effect=error))
    response = client.get("/v2/me")
    assert_error(response, 400, "BAD_REQUEST")
    assert DETAILS not in response.content.decode()


@pytest.mark.parametrize("error", [OperationalError(DETAILS), InterfaceError(DETAILS)])
@pytest.mark.parametrize("url", ["/v2/me", "/v2/accounts", "/v2/health", "/v2/nowhere"])
def test_unavailable_database_is_a_503(client, url, error):
    with mock.patch.object(CursorWrapper, "execute", side_effect=error):
        response = client.get(url)
    assert_error(response, 503, "UNAVAILABLE")
    assert response["Retry-After"] == "5"
    assert DETAILS not in response.content.decode()


def test_health_recovers_with_database(client):
    assert client.get("/v2/health").status_code == 200
    with mock.patch.object(CursorWrapper, "execute", side_effect=OperationalError(DETAILS)):
        assert client.get("/v2/health").status_code == 503
    assert client.get("/v2/health").json() == {"status": "ok"}


def test_line_break_in_path_is_escaped(db, monkeypatch, caplog):
    caplog.set_level(logging.ERROR, "accounts_app.api.errors")
    monkeypatch.setattr(HealthView, "get", mock.Mock(side_effect=RuntimeError(DETAILS)))
    ApiClient().get("/v2/health")
    [record] = [record for record in caplog.records if record.name == "accounts_app.api.errors"]
    assert record.getMessage() == "GET '/v2/health' failed"
