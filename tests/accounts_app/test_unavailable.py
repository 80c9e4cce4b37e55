"""The pages for what went wrong on our side."""

from unittest import mock

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("path", ["/settings/api", "/accounts", "/admin/"])
def test_a_page_that_cannot_reach_the_database_says_that_it_passes(alice, error, path):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with mock.patch("django.db.backends.utils.CursorWrapper.execute", side_effect=error("made up")):
        answer = client.get(path)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "try again in a few seconds" in answer.content.decode()
    assert "made up" not in answer.content.decode()


def test_any_other_error_is_a_500_and_promises_nothing(monkeypatch, alices_browser):
    monkeypatch.setattr("finta_keys.views.KeyListView.get_queryset", mock.Mock(side_effect=RuntimeError("made up")))
    alices_browser.raise_request_exception = False
    answer = alices_browser.get("/settings/api")
    assert answer.status_code == 500
    assert "Retry-After" not in answer
