"""A request that carries an API key is never a signed-in person, so no page opens to it."""

import pytest
from django.urls import reverse

from finta_keys import secret

PAGES = ["finta_keys:list", "finta_keys:create", "my_accounts", "data_settings", "admin:index"]
SECRETS = {"valid": None, "unknown": secret.generate(), "malformed": "finta_malformed"}


@pytest.mark.rule("K6")
@pytest.mark.parametrize("url_name", PAGES)
@pytest.mark.parametrize("presented", SECRETS)
def test_pages_reject_keys_next_to_sessions(url_name, presented, alices_browser, unrestricted):
    header = f"Bearer {SECRETS[presented] or unrestricted.secret}"
    assert alices_browser.get(reverse(url_name), headers={"authorization": header}).status_code == 403


@pytest.mark.rule("K6")
def test_key_next_to_session_creates_no_key(alices_browser, unrestricted, alice):
    form = alices_browser.get(reverse("finta_keys:create")).context["form"]
    data = {"name": "Wider", "share_all_accounts": "on", "nonce": form["nonce"].value()}
    headers = {"authorization": f"Bearer {unrestricted.secret}"}
    assert alices_browser.post(reverse("finta_keys:create"), data, headers=headers).status_code == 403
    assert not alice.finta_keys.filter(name="Wider").exists()


def test_pages_open_with_tokens_of_others(alices_browser):
    headers = {"authorization": "Bearer token-of-a-proxy"}
    assert alices_browser.get(reverse("finta_keys:list"), headers=headers).status_code == 200
