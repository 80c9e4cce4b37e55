"""The pages of API settings without the middleware of this site."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from finta_keys.views import KeyListView


@pytest.mark.rule("K6")
def test_key_next_to_session_is_rejected(rf, alice, unrestricted):
    request = rf.get("/", headers={"authorization": f"Bearer {unrestricted.secret}"})
    request.user = alice
    with pytest.raises(PermissionDenied, match="API keys cannot manage keys"):
        KeyListView.as_view()(request)


@pytest.mark.rule("K5")
def test_unreadable_list_of_shown_accounts_removes_nothing(alices_browser, restricted, accounts):
    url = reverse("finta_keys:edit_scope", args=[restricted.key.pk])
    data = {"scope_edits": restricted.key.scope_edits, "shown": "{", "accounts": [str(accounts.savings.pk)]}
    assert alices_browser.post(url, data).status_code == 302
    assert set(restricted.key.accounts.all()) == {accounts.checking, accounts.savings}
