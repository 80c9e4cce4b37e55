"""Pages respond with 503 if the database stays locked, and raise other errors."""

from unittest import mock

import pytest
from django.db import OperationalError

from finta_keys.models import ApiKey
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import read, submit, url

pytestmark = pytest.mark.rule("T1a")

ACTIONS = ["rename", "edit_scope", "rotate", "delete"]  # also the names of the methods


@pytest.fixture(params=["owner", "operator"])
def open_page(request, alices_browser, restricted):
    """Return a function that submits the form of an action as the owner, or in the admin."""

    def submit_action(action):
        data = {"name": "New", "share_all_accounts": "on"}
        if request.param == "owner":
            return submit(alices_browser, url(action, restricted.key), **data)
        return submit(admin_pages.operator(), admin_pages.url(action, restricted.key.pk), **data)

    return submit_action


@pytest.mark.parametrize("action", ACTIONS)
def test_locked_database_is_a_503(open_page, action):
    with mock.patch.object(ApiKey, action, side_effect=OperationalError("database is locked")):
        response = open_page(action)
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
    assert "Nothing was changed." in read(response)


def test_other_database_errors_are_raised(open_page):
    with (
        mock.patch.object(ApiKey, "rename", side_effect=OperationalError("disk I/O error")),
        pytest.raises(OperationalError),
    ):
        open_page("rename")
