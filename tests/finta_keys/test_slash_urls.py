"""The pages below a path that ends in a slash, below one that does not, twice, and nowhere."""

import re
from types import ModuleType

import pytest
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import clear_url_caches, include, path, re_path, resolve, reverse

from finta_keys import slash_urls, urls, views
from finta_keys.checks import project
from finta_keys.models import ApiKey
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import create, read, shown_secret, submit, url

VERBS = ("rename", "edit_scope", "rotate", "delete")


@pytest.fixture
def urlconf(settings):
    """Let the project have these patterns."""

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


def links(answer):
    return re.findall(r'(?:href|action)="(/[^"#]*)"', answer.content.decode())


def test_both_modules_have_the_same_pages():
    assert [each.name for each in slash_urls.urlpatterns] == [each.name for each in urls.urlpatterns]
    assert [each.callback for each in slash_urls.urlpatterns] == [each.callback for each in urls.urlpatterns]
    assert all(str(each.pattern).endswith("/") for each in slash_urls.urlpatterns[1:])


def test_every_page_redirect_and_link_has_its_slash(slashes, alices_browser, restricted, accounts):
    here = "/people/me/settings/api/"
    assert url("list") == here
    pages = [alices_browser.get(url("list")), create(alices_browser)]
    pages += [alices_browser.get(url(verb, restricted.key)) for verb in VERBS]
    for page in pages:
        assert page.status_code == 200
        found = [each.split("?")[0] for each in links(page) if not each.startswith("/static/")]
        assert found
        for each in found:
            assert each.startswith(here)
            assert each.endswith("/")
            assert "//" not in each
            assert resolve(each)
    renamed = submit(alices_browser, url("rename", restricted.key), name="Laptop")
    assert renamed.url == here
    assert "Renamed to “Laptop”." in read(alices_browser.get(renamed.url))
    scoped = submit(alices_browser, url("edit_scope", restricted.key), accounts=[accounts.cash.pk])
    assert scoped.url == here
    assert shown_secret(submit(alices_browser, url("rotate", restricted.key)))
    assert submit(alices_browser, url("delete", restricted.key)).url == here


def test_who_is_not_signed_in_comes_back_to_the_page(slashes, client, restricted):
    answer = client.get(url("rename", restricted.key) + "?q=x")
    assert answer.url == f"/login/?next=/people/me/settings/api/keys/{restricted.key.pk}/rename/%3Fq%3Dx"


def test_where_the_pages_are_there_twice_each_leads_to_its_own(urlconf, alices_browser, restricted):
    first = path("one", include("finta_keys.urls"))
    second = path("two/", include("finta_keys.slash_urls", namespace="second"))
    urlconf(first, second, path("login", LoginView.as_view(), name="login"))
    for here in ("/one", "/two/"):
        page = alices_browser.get(here)
        assert all(each.startswith(here) for each in links(page) if not each.startswith("/static/"))
        (rename,) = (each for each in links(page) if "rename" in each)
        assert submit(alices_browser, rename, name=f"At {here}").url == here


def test_each_page_leads_to_the_others_below_whatever_the_host_includes_them(urlconf, alices_browser, restricted):
    """Within another namespace, and below values in the path, one of which is called like a key's own."""
    tenants = path("<slug:tenant>/<int:pk>/settings/", include("finta_keys.slash_urls", namespace="keys"))
    urlconf(path("shops/", include(([tenants], "shops"))), path("login", LoginView.as_view(), name="login"))
    here = "/shops/corner/7/settings/"
    assert alices_browser.get(f"{here}?q={restricted.secret}").url.startswith(f"{here}?q=finta_")
    (new, *verbs) = (each for each in links(alices_browser.get(here)) if not each.startswith("/static/"))
    assert new == f"{here}keys/new/"
    assert verbs == [f"{here}keys/{restricted.key.pk}/{verb.replace('_', '-')}/" for verb in VERBS]
    for each in (new, *verbs):
        page = alices_browser.get(each)
        assert page.status_code == 200
        assert here in links(page)
        assert all(link.startswith((here, "/static/")) for link in links(page))
    assert submit(alices_browser, verbs[0], name="Laptop").url == here
    stale = alices_browser.post(verbs[2], {"rotation": 0}) and alices_browser.post(verbs[2], {"rotation": 0})
    assert stale.status_code == 409
    assert verbs[2] in links(stale)
    assert here in links(alices_browser.get(f"{here}keys/nothing/rename/"))


def test_a_page_that_the_host_routes_by_itself_leads_to_the_others(urlconf, alices_browser, restricted):
    own = path("my-keys", views.KeyListView.as_view(), name="my_keys")
    urlconf(own, path("settings/api", include("finta_keys.urls")), path("login", LoginView.as_view(), name="login"))
    found = [each for each in links(alices_browser.get("/my-keys")) if not each.startswith("/static/")]
    assert found
    assert all(each.startswith("/settings/api") for each in found)


def test_a_project_without_the_pages_has_the_admins(urlconf, alice, restricted, accounts):
    """Nothing outside the pages asks where they are."""
    urlconf(path("admin/", admin.site.urls))
    browser = admin_pages.operator()
    for verb in ("changelist", "add"):
        assert browser.get(admin_pages.url(verb)).status_code == 200
    for verb in ("change", *VERBS):
        assert browser.get(admin_pages.url(verb, restricted.key.pk)).status_code == 200
    form = admin_pages.url("create", alice.pk)
    assert shown_secret(submit(browser, form, name="Another", share_all_accounts="on"))
    assert submit(browser, admin_pages.url("rename", restricted.key.pk), name="Laptop").status_code == 302
    for verb in ("rotate", "delete"):
        page = submit(browser, admin_pages.url(verb, restricted.key.pk), rotation=7)
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
def test_E018_a_slash_too_many_or_too_few_is_found(urlconf, outer, route, module, wrong):
    make = re_path if outer.startswith("^") else path
    urlconf(path("login", LoginView.as_view()), make(outer, include([path(route, include(module))])))
    found = project.check_slashes(None)
    assert [each.id for each in found] == ["finta_keys.E018"] * bool(wrong)
    for each in found:
        assert wrong in each.msg
        assert repr(f"/{outer.removeprefix('^')}{route}") in each.msg
        assert 'path("settings/api", include("finta_keys.urls"))' in each.hint
        assert 'path("settings/api/", include("finta_keys.slash_urls"))' in each.hint


def test_E018_a_project_without_urls_is_fine(settings):
    assert project.check_slashes(None) == []
    del settings.ROOT_URLCONF
    assert project.check_slashes(None) == []


def test_the_texts_of_the_script_are_there_for_everybody(client):
    assert reverse("finta_keys:texts") == "/settings/api/texts"
    answer = client.get("/settings/api/texts")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/javascript")
