"""The pages of API settings without the middleware of this site."""

import pytest
from django.core.exceptions import PermissionDenied

from finta_keys.list_views import KeyListView


@pytest.mark.rule("K6")
def test_key_next_to_session_is_rejected(rf, alice, unrestricted):
    request = rf.get("/", headers={"authorization": f"Bearer {unrestricted.secret}"})
    request.user = alice
    with pytest.raises(PermissionDenied, match="API keys cannot manage keys"):
        KeyListView.as_view()(request)
