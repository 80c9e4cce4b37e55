"""The pages within a template of the host, which has the blocks ``title`` and ``content`` and nothing else of ours."""

import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string

from finta_keys.models import ApiKey
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import create, read, shown_secret, submit, url

BASE = """<!doctype html><title>{% block title %}{% endblock %} at Corner Shop</title>
<body class="shop"><header id="header"><h1 id="title">Corner Shop</h1></header>
{% for message in messages %}<p class="theirs">{{ message }}</p>{% endfor %}
<div class="page">{% block page %}{% block content %}{% endblock %}{% endblock %}</div></body>"""
VERBS = ("rename", "edit_scope", "rotate", "delete")


@pytest.fixture
def host(settings, tmp_path):
    """A folder of the host's own templates, with its base template in it."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "base.html").write_text(BASE)
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "shop/base.html"
    settings.FINTA_KEYS_FRESH_SIGN_IN = ""
    return tmp_path


@pytest.fixture
def answers(host, alices_browser, restricted):
    """One of each page."""
    stale = {"rotation": 7}
    return {
        "list": alices_browser.get(url("list")),
        "create": alices_browser.get(url("create")),
        "secret": create(alices_browser),
        **{verb: alices_browser.get(url(verb, restricted.key)) for verb in VERBS},
        "already done": alices_browser.post(url("rotate", restricted.key), stale),
        "not found": alices_browser.get(f"{url('list')}/keys/made-up/rotate"),
    }


def test_every_page_stands_in_the_hosts_template(answers):
    for name, answer in answers.items():
        page = answer.content.decode()
        assert page.startswith("<!doctype html><title>"), name
        assert '<h1 id="title">Corner Shop</h1>' in page, name
        assert " at Corner Shop</title>" in page, name
        assert page.count('<div class="finta-keys" data-finta-keys-user=') == 1, name


def test_a_host_that_swaps_pages_by_turbo_leaves_ours_alone_and_keeps_no_secret(answers):
    # It drops an answer to a form that is no redirect, as the one with a secret is, and keeps pages to go back to.
    for name, answer in answers.items():
        assert re.search(r'<div class="finta-keys" [^>]*data-turbo="false"', answer.content.decode()), name
    (panel,) = re.findall(r'<section class="finta-panel"[^>]*>', answers["secret"].content.decode())
    assert "data-turbo-temporary" in panel


def test_sheet_and_script_come_with_the_pages_and_stay_out_of_what_the_script_replaces(answers):
    for answer in answers.values():
        before, ours = answer.content.decode().split('<div class="page">')[1].split('<div class="finta-keys"')
        assert before.count("finta_keys/style.css") == before.count("finta_keys/keys.js") == 1
        assert "<link" not in ours
        assert "<script" not in ours


def test_every_script_is_loaded_once(answers):
    page = answers["list"].content.decode()
    folder = Path(finders.find("finta_keys/keys.js")).parent
    loaded = re.findall(r'<script src="[^"]*finta_keys/([\w.]+)" defer>', page)
    assert sorted(loaded) == sorted(path.name for path in folder.glob("*.js"))
    assert (loaded[0], loaded[-1]) == ("elements.js", "keys.js")


def test_a_host_may_load_sheet_and_script_itself(host, alices_browser, restricted):
    (host / "finta_keys").mkdir()
    (host / "finta_keys" / "_assets.html").write_text('<link rel="stylesheet" href="/all.css">')
    page = alices_browser.get(url("list")).content.decode()
    assert "/all.css" in page
    assert "finta_keys/style.css" not in page
    assert "finta_keys/keys.js" not in page


def test_ids_of_the_pages_are_not_those_of_others(answers):
    ids = {each for answer in answers.values() for each in re.findall(r'\bid="([^"]+)"', answer.content.decode())}
    assert {each for each in ids if not re.match("finta[_-]keys[_-]", each)} == {"header", "title", "secret"}


def test_classes_of_the_pages_are_not_those_of_others(answers, alices_browser):
    """Django's ``errorlist`` is."""
    refused = submit(alices_browser, url("create"), name="")
    pages = [answer.content.decode().split('<div class="page">')[1] for answer in [*answers.values(), refused]]
    classes = {each for page in pages for names in re.findall(r'\bclass="([^"]+)"', page) for each in names.split()}
    assert {each for each in classes if not each.startswith("finta-")} == {"errorlist"}


def test_the_sheet_knows_no_classes_of_others():
    sheet = re.sub(r"/\*.*?\*/", "", Path(finders.find("finta_keys/style.css")).read_text(), flags=re.DOTALL)
    classes = re.findall(r"\.([a-z][\w-]*)", sheet)
    assert {each for each in classes if not each.startswith("finta-")} == {"errorlist"}


@pytest.mark.parametrize(
    ("level", "item"),
    [
        (messages.SUCCESS, "<li>"),
        (messages.WARNING, '<li class="finta-warning">'),
        (messages.ERROR, '<li class="finta-warning">'),
    ],
)
def test_a_message_looks_as_its_level_says_whatever_the_host_calls_it(settings, level, item):
    settings.MESSAGE_TAGS = {level: "danger tag"}
    page = render_to_string("finta_keys/_messages.html", {"messages": [Message(level, "Closed", "button")]})
    assert re.findall("<li.*?>", page) == [item]


def test_what_was_done_is_told_once_and_within_the_pages(host, alices_browser, restricted):
    """There the script finds it, too."""
    submit(alices_browser, url("rename", restricted.key), name="Laptop")
    page = alices_browser.get(url("list")).content.decode()
    assert page.count("Renamed to “Laptop”.") == 1
    assert "Renamed" in page.split('<div class="finta-keys"')[1]
    assert "Renamed" not in alices_browser.get(url("list")).content.decode()


def test_the_admin_shows_messages_as_ever(host, restricted):
    browser = admin_pages.operator()
    address = submit(browser, admin_pages.url("rename", restricted.key.pk), name="Laptop").url
    assert "Renamed to “Laptop”." in read(browser.get(address))
    submit(browser, admin_pages.url("rename", restricted.key.pk), name="Phone")
    page = read(browser.get(admin_pages.url("edit_scope", restricted.key.pk)))
    assert page.count("Renamed to “Phone”.") == 1


def test_a_project_without_messages_has_the_pages(host, settings, alices_browser, restricted):
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "messages" not in each]
    host_processors = settings.TEMPLATES[0]["OPTIONS"]["context_processors"]
    processors = [each for each in host_processors if "auth" in each]  # neither messages nor the request
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {"context_processors": processors}}]
    assert submit(alices_browser, url("rename", restricted.key), name="Laptop").status_code == 302
    page = alices_browser.get(url("list")).content.decode()
    assert "Laptop" in page
    assert re.search(r'data-finta-keys-user="[^"]+"', page)
    assert shown_secret(create(alices_browser))
    assert ApiKey.objects.count() == 2


def test_without_a_template_of_the_host_there_is_one_of_our_own(settings, alices_browser, restricted):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    del settings.FINTA_KEYS_BASE_TEMPLATE
    page = alices_browser.get(url("list")).content.decode()
    assert '<html lang="en" dir="ltr">' in page
    assert "<title>API settings</title>" in page
    assert '<body class="finta-keys">' in page
    assert "Storage Mode" not in read(alices_browser.get(url("create")))
