"""``FINTA_KEYS_FRESH_SIGN_IN``: the host can require a fresh sign-in before a secret is shown."""

import pytest
from django.http import HttpResponseRedirect
from django.test import Client

from finta_keys.checks import settings as checks
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys import admin_pages, pages
from tests.finta_keys.pages import hidden_fields, shown_secret

THIS_MODULE = __name__
ELSEWHERE = "https://sign-on.example/?next=/back"
NEW = {"name": "Production", "share_all_accounts": "on"}
NO_FUNCTION = 5


def redirect_elsewhere(request):
    return HttpResponseRedirect(ELSEWHERE)


def allow(request):
    return None


@pytest.fixture
def hook(settings):
    """Return a function that sets the hook to one of this module's functions, or to none."""

    def set_hook(function):
        settings.FINTA_KEYS_FRESH_SIGN_IN = function and f"{THIS_MODULE}.{function.__name__}"

    return set_hook


@pytest.fixture
def key(alice):
    return make_key(alice)[0]


@pytest.fixture(params=["owner", "admin"])
def pages_of(request, alices_browser, alice, key):
    """A browser and a function that returns the URL of an action: at API settings and in the admin."""
    if request.param == "owner":
        return alices_browser, lambda action: pages.url(action, None if action == "create" else key)
    return admin_pages.operator(), lambda action: admin_pages.url(action, alice.pk if action == "create" else key.pk)


def is_hook_response(response):
    return response.status_code == 302 and response.headers["Location"] == ELSEWHERE


@pytest.mark.parametrize("method", ["get", "head", "post"])
@pytest.mark.parametrize("action", ["create", "rotate"])
def test_hook_response_replaces_secret_page(pages_of, hook, key, action, method):
    browser, url = pages_of
    hook(redirect_elsewhere)
    assert is_hook_response(getattr(browser, method)(url(action)))


@pytest.mark.parametrize("action", ["create", "rotate"])
def test_put_is_not_allowed(pages_of, key, action):
    browser, url = pages_of
    assert browser.put(url(action)).status_code == 405
    assert ApiKey.objects.get().rotation == 0


@pytest.mark.parametrize(("action", "data"), [("create", {**NEW, "name": "Another"}), ("rotate", {})])
def test_hook_is_called_again_on_submit(pages_of, hook, key, action, data):
    browser, url = pages_of
    hook(allow)
    form = hidden_fields(browser.get(url(action)))
    before = bytes(key.digest)
    hook(redirect_elsewhere)
    assert is_hook_response(browser.post(url(action), {**form, **data}))
    assert ApiKey.objects.count() == 1
    assert admin_pages.digest(key) == before
    hook(allow)
    assert shown_secret(browser.post(url(action), {**form, **data}))  # the nonce is unused


@pytest.mark.parametrize("action", ["rename", "delete"])
def test_other_pages_skip_hook(pages_of, hook, action):
    browser, url = pages_of
    hook(redirect_elsewhere)
    assert browser.get(url(action)).status_code == 200


def test_owners_edit_scope_skips_hook(alices_browser, hook, key):
    hook(redirect_elsewhere)
    assert alices_browser.get(pages.url("edit_scope", key)).status_code == 200


def test_edit_scope_in_admin_calls_hook(hook, alice, accounts):
    key, _ = make_key(alice, "Restricted", [accounts.cash])
    operator, url = admin_pages.operator(), admin_pages.url("edit_scope", key.pk)
    form = hidden_fields(operator.get(url))
    hook(redirect_elsewhere)
    assert is_hook_response(operator.get(url))
    assert is_hook_response(operator.post(url, {**form, "share_all_accounts": "on"}))
    assert not ApiKey.objects.get().share_all_accounts


def test_delete_skips_hook(pages_of, hook):
    browser, url = pages_of
    hook(redirect_elsewhere)
    pages.submit(browser, url("delete"))
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("unset", [None, ""])
def test_unset_hook_is_skipped(pages_of, settings, unset):
    browser, url = pages_of
    settings.FINTA_KEYS_FRESH_SIGN_IN = unset
    assert shown_secret(pages.submit(browser, url("create"), **{**NEW, "name": "Another"}))
    del settings.FINTA_KEYS_FRESH_SIGN_IN
    assert shown_secret(pages.submit(browser, url("rotate")))


def test_hook_runs_after_permission_checks(hook, bob, alice):
    hook(redirect_elsewhere)
    assert Client().get(pages.url("create")).headers["Location"].startswith("/login")
    assert admin_pages.signed_in(bob).get(admin_pages.url("create", alice.pk)).headers["Location"] != ELSEWHERE
    assert admin_pages.operator("view").get(admin_pages.url("create", alice.pk)).status_code == 403


# The system check


@pytest.mark.parametrize(
    "path",
    [
        "no_module_of_this_name.ask",
        f"{THIS_MODULE}.nothing",
        "no_dots",
        "builtins.__name__",
        f"{THIS_MODULE}.NO_FUNCTION",
        5,
    ],
)
def test_check_rejects_path_to_no_function(settings, path):
    settings.FINTA_KEYS_FRESH_SIGN_IN = path
    (message,) = checks.check_settings(None)
    assert message.id == "finta_keys.E001"
    assert repr(path) in message.msg
    assert "or remove it" in message.hint


@pytest.mark.parametrize("path", [None, "", f"{THIS_MODULE}.redirect_elsewhere"])
def test_check_accepts_function_and_unset(settings, path):
    settings.FINTA_KEYS_FRESH_SIGN_IN = path
    assert checks.check_settings(None) == []
