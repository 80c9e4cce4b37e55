"""The error page for failures on our side."""

from unittest import mock

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("path", ["/settings/api", "/accounts", "/admin/"])
def test_unavailable_database_shows_503_page(alice, error, path):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with mock.patch("django.db.backends.utils.CursorWrapper.execute", side_effect=error("made up")):
        response = client.get(path)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert "Try again in a few seconds" in response.content.decode()
    assert "made up" not in response.content.decode()


def test_other_errors_show_500_page(monkeypatch, alices_browser):
    broken = mock.Mock(side_effect=RuntimeError("made up"))
    monkeypatch.setattr("finta_keys.list_views.KeyListView.get_queryset", broken)
    alices_browser.raise_request_exception = False
    response = alices_browser.get("/settings/api")
    assert response.status_code == 500
    assert "Retry-After" not in response
