"""FINTA_KEYS_FRESH_SIGN_IN: the host is asked before a page that shows a secret is shown or acts, and no other."""

import pytest
from django.http import HttpResponseRedirect
from django.test import Client

from finta_keys.checks import settings as checks
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys import admin_pages, pages
from tests.finta_keys.pages import hidden_fields, shown_secret

HERE = __name__
ELSEWHERE = "https://sign-on.example/?next=/back"
NEW = {"name": "Production", "share_all_accounts": "on"}
NO_FUNCTION = 5


def refuse(request):
    return HttpResponseRedirect(ELSEWHERE)


def let_go_on(request):
    return None


@pytest.fixture
def hook(settings):
    """Set the hook to one of this module's functions, or to none."""

    def choose(function):
        settings.FINTA_KEYS_FRESH_SIGN_IN = function and f"{HERE}.{function.__name__}"

    return choose


@pytest.fixture
def key(alice):
    return make_key(alice)[0]


@pytest.fixture(params=["owner", "admin"])
def site(request, alices_browser, alice, key):
    """Whose pages, as a browser and a function that gives the address of a page."""
    if request.param == "owner":
        return alices_browser, lambda verb: pages.url(verb, None if verb == "create" else key)
    return admin_pages.operator(), lambda verb: admin_pages.url(verb, alice.pk if verb == "create" else key.pk)


def was_refused(answer):
    return answer.status_code == 302 and answer.headers["Location"] == ELSEWHERE


@pytest.mark.parametrize("method", ["get", "head", "post", "put"])
@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_the_hooks_answer_takes_the_place_of_a_page_that_shows_a_secret(site, hook, key, verb, method):
    browser, url = site
    hook(refuse)
    assert was_refused(getattr(browser, method)(url(verb)))


@pytest.mark.parametrize(("verb", "sent"), [("create", {**NEW, "name": "Another"}), ("rotate", {})])
def test_a_form_that_was_open_for_long_makes_no_key_and_no_secret(site, hook, key, verb, sent):
    browser, url = site
    hook(let_go_on)
    form = hidden_fields(browser.get(url(verb)))
    before = bytes(key.digest)
    hook(refuse)
    assert was_refused(browser.post(url(verb), {**form, **sent}))
    assert ApiKey.objects.count() == 1
    assert admin_pages.digest(key) == before
    hook(let_go_on)
    assert shown_secret(browser.post(url(verb), {**form, **sent}))  # and nothing of the form was spent


@pytest.mark.parametrize("verb", ["rename", "edit_scope", "delete"])
def test_what_shows_no_secret_asks_nobody(site, hook, verb):
    browser, url = site
    hook(refuse)
    assert browser.get(url(verb)).status_code == 200


def test_deleting_is_possible_in_a_hurry(site, hook):
    browser, url = site
    hook(refuse)
    pages.submit(browser, url("delete"))
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("unset", [None, ""])
def test_without_the_setting_nobody_is_asked(site, settings, unset):
    browser, url = site
    settings.FINTA_KEYS_FRESH_SIGN_IN = unset
    assert shown_secret(pages.submit(browser, url("create"), **{**NEW, "name": "Another"}))
    del settings.FINTA_KEYS_FRESH_SIGN_IN
    assert shown_secret(pages.submit(browser, url("rotate")))


def test_the_hook_is_asked_about_people_only_who_may_see_the_page(hook, bob, alice):
    hook(refuse)
    assert Client().get(pages.url("create")).headers["Location"].startswith("/login")
    assert admin_pages.signed_in(bob).get(admin_pages.url("create", alice.pk)).headers["Location"] != ELSEWHERE
    assert admin_pages.operator("view").get(admin_pages.url("create", alice.pk)).status_code == 403


# --- E008 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["no_module_of_this_name.ask", f"{HERE}.nothing", "no_dots", "builtins.__name__", f"{HERE}.NO_FUNCTION", 5]
)
def test_E008_a_path_to_no_function_is_found_at_the_start(settings, path):
    settings.FINTA_KEYS_FRESH_SIGN_IN = path
    (message,) = checks.check_fresh_sign_in(None)
    assert message.id == "finta_keys.E008"
    assert repr(path) in message.msg
    assert "or leave it out" in message.hint


@pytest.mark.parametrize("path", [None, "", f"{HERE}.refuse"])
def test_E008_a_function_and_none_are_fine(settings, path):
    settings.FINTA_KEYS_FRESH_SIGN_IN = path
    assert checks.check_fresh_sign_in(None) == []
