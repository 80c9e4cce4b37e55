"""The URLs of the pages: with and without trailing slashes, included twice or not at all."""

import re
from types import ModuleType

import pytest
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import clear_url_caches, include, path, re_path, resolve, reverse

from finta_keys import list_views, slash_urls, urls
from finta_keys.checks import project
from finta_keys.models import ApiKey
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import create, read, shown_secret, submit, url

pytestmark = pytest.mark.thorough

ACTIONS = ("rename", "edit_scope", "rotate", "delete")


@pytest.fixture
def urlconf(settings):
    """Return a function that sets the project's URL patterns."""

    def use(*patterns):
        module = ModuleType("urls_of_a_test")
        module.urlpatterns = list(patterns)
        settings.ROOT_URLCONF = module
        clear_url_caches()

    settings.FINTA_KEYS_BASE_TEMPLATE = "finta_keys/base.html"
    settings.FINTA_KEYS_FRESH_SIGN_IN = ""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    yield use
    clear_url_caches()


@pytest.fixture
def slashes(urlconf, settings):
    settings.ROOT_URLCONF = "tests.finta_keys.urls_slash"
    clear_url_caches()


def links(response):
    """Return the paths that a page links to, except those of static files."""
    paths = re.findall(r'(?:href|action)="(/[^"#]*)"', response.content.decode())
    return [path for path in paths if not path.startswith("/static/")]


def test_both_url_modules_have_same_pages():
    assert [pattern.name for pattern in slash_urls.urlpatterns] == [pattern.name for pattern in urls.urlpatterns]
    for with_slash, without in zip(slash_urls.urlpatterns, urls.urlpatterns, strict=True):
        assert with_slash.callback == without.callback
    assert all(str(pattern.pattern).endswith("/") for pattern in slash_urls.urlpatterns[1:])


def test_every_link_and_redirect_ends_in_slash(slashes, alices_browser, restricted, accounts):
    here = "/people/me/settings/api/"
    assert url("list") == here
    pages = [alices_browser.get(url("list")), create(alices_browser)]
    pages += [alices_browser.get(url(action, restricted.key)) for action in ACTIONS]
    for page in pages:
        assert page.status_code == 200
        paths = [link.split("?")[0] for link in links(page)]
        assert paths
        for address in paths:
            assert address.startswith(here)
            assert address.endswith("/")
            assert "//" not in address
            assert resolve(address)
    renamed = submit(alices_browser, url("rename", restricted.key), name="Laptop")
    assert renamed.url == here
    assert "Renamed to “Laptop”." in read(alices_browser.get(renamed.url))
    scoped = submit(alices_browser, url("edit_scope", restricted.key), accounts=[accounts.cash.pk])
    assert scoped.url == here
    assert shown_secret(submit(alices_browser, url("rotate", restricted.key)))
    assert submit(alices_browser, url("delete", restricted.key)).url == here


def test_login_redirect_keeps_addressand_query(slashes, client, restricted):
    response = client.get(url("rename", restricted.key) + "?q=x")
    assert response.url == f"/login/?next=/people/me/settings/api/keys/{restricted.key.pk}/rename/%3Fq%3Dx"


def test_pages_included_twice_link_within_instance(urlconf, alices_browser, restricted):
    first = path("one", include("finta_keys.urls"))
    second = path("two/", include("finta_keys.slash_urls", namespace="second"))
    urlconf(first, second, path("login", LoginView.as_view(), name="login"))
    for here in ("/one", "/two/"):
        page = alices_browser.get(here)
        assert all(link.startswith(here) for link in links(page))
        (rename,) = (link for link in links(page) if "rename" in link)
        assert submit(alices_browser, rename, name=f"At {here}").url == here


def test_links_keep_namespace_and_captured_values(urlconf, alices_browser, restricted):
    """Inside another namespace, with values in the path. One is named ``pk``, as for a key."""
    tenants = path("<slug:tenant>/<int:pk>/settings/", include("finta_keys.slash_urls", namespace="keys"))
    urlconf(path("shops/", include(([tenants], "shops"))), path("login", LoginView.as_view(), name="login"))
    here = "/shops/corner/7/settings/"
    assert alices_browser.get(f"{here}?q={restricted.secret}").url.startswith(f"{here}?q=finta_")
    new, key_page, *action_urls, deleted = links(alices_browser.get(here))
    assert new == f"{here}keys/new/"
    assert key_page == f"{here}keys/{restricted.key.pk}/"
    assert action_urls == [f"{here}keys/{restricted.key.pk}/{action.replace('_', '-')}/" for action in ACTIONS]
    for address in (new, key_page, *action_urls, deleted):
        page = alices_browser.get(address)
        assert page.status_code == 200
        assert here in links(page)
        assert all(link.startswith(here) for link in links(page))
    assert submit(alices_browser, action_urls[0], name="Laptop").url == here
    rotate = action_urls[2]
    alices_browser.post(rotate, {"rotation": 0})
    stale = alices_browser.post(rotate, {"rotation": 0})
    assert stale.status_code == 409
    assert rotate in links(stale)
    assert here in links(alices_browser.get(f"{here}keys/nothing/rename/"))


def test_page_routed_by_host_links_to_others(urlconf, alices_browser, restricted):
    own = path("my-keys", list_views.KeyListView.as_view(), name="my_keys")
    urlconf(own, path("settings/api", include("finta_keys.urls")), path("login", LoginView.as_view(), name="login"))
    paths = links(alices_browser.get("/my-keys"))
    assert paths
    assert all(address.startswith("/settings/api") for address in paths)


def test_admin_works_without_settings_pages(urlconf, alice, restricted, accounts):
    """The admin does not link to API settings."""
    urlconf(path("admin/", admin.site.urls))
    browser = admin_pages.operator()
    for action in ("changelist", "add"):
        assert browser.get(admin_pages.url(action)).status_code == 200
    for action in ("change", *ACTIONS):
        assert browser.get(admin_pages.url(action, restricted.key.pk)).status_code == 200
    form = admin_pages.url("create", alice.pk)
    assert shown_secret(submit(browser, form, name="Another", share_all_accounts="on"))
    assert submit(browser, admin_pages.url("rename", restricted.key.pk), name="Laptop").status_code == 302
    for action in ("rotate", "delete"):
        page = submit(browser, admin_pages.url(action, restricted.key.pk), rotation=7)
        assert page.status_code == 409
    assert submit(browser, admin_pages.url("delete", restricted.key.pk)).status_code == 302
    assert browser.get(admin_pages.url("rotate", restricted.key.pk)).status_code == 404
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("route", "module", "wrong"),
    [
        ("settings/api/", "finta_keys.urls", "two slashes"),
        ("", "finta_keys.urls", "two slashes"),
        ("settings/api", "finta_keys.slash_urls", "no slash"),
        ("settings/api", "finta_keys.urls", None),
        ("settings/api/", "finta_keys.slash_urls", None),
        ("", "finta_keys.slash_urls", None),
    ],
)
@pytest.mark.parametrize("outer", ["", "people/<int:pk>/", "^(en|de)/"])
def test_check_reports_wrong_slash(urlconf, outer, route, module, wrong):
    make = re_path if outer.startswith("^") else path
    urlconf(path("login", LoginView.as_view()), make(outer, include([path(route, include(module))])))
    errors = project.check_slashes(None)
    assert [error.id for error in errors] == ["finta_keys.E018"] * bool(wrong)
    for error in errors:
        assert wrong in error.msg
        assert repr(f"/{outer.removeprefix('^')}{route}") in error.msg
        assert 'path("settings/api", include("finta_keys.urls"))' in error.hint
        assert 'path("settings/api/", include("finta_keys.slash_urls"))' in error.hint


def test_check_accepts_project_without_urls(settings):
    assert project.check_slashes(None) == []
    del settings.ROOT_URLCONF
    assert project.check_slashes(None) == []


def test_script_translations_are_public(client):
    assert reverse("finta_keys:texts") == "/settings/api/texts"
    response = client.get("/settings/api/texts")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/javascript")
