"""The pages in a host's base template, which has only the blocks ``title`` and ``content``."""

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

pytestmark = pytest.mark.thorough

BASE = """<!doctype html><title>{% block title %}{% endblock %} at Corner Shop</title>
<body class="shop"><header id="header"><h1 id="title">Corner Shop</h1></header>
{% for message in messages %}<p class="theirs">{{ message }}</p>{% endfor %}
<div class="page">{% block page %}{% block content %}{% endblock %}{% endblock %}</div></body>"""
ACTIONS = ("rename", "edit_scope", "rotate", "delete")


@pytest.fixture
def host(settings, tmp_path):
    """The host's template folder, with its base template."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "base.html").write_text(BASE)
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "shop/base.html"
    settings.FINTA_KEYS_FRESH_SIGN_IN = ""
    return tmp_path


@pytest.fixture
def responses(host, alices_browser, restricted):
    """A response of every page, by name."""
    stale = {"rotation": 7}
    return {
        "list": alices_browser.get(url("list")),
        "create": alices_browser.get(url("create")),
        "secret": create(alices_browser),
        **{action: alices_browser.get(url(action, restricted.key)) for action in ACTIONS},
        "already done": alices_browser.post(url("rotate", restricted.key), stale),
        "not found": alices_browser.get(f"{url('list')}/keys/made-up/rotate"),
    }


def test_pages_extend_hosts_template(responses):
    for name, response in responses.items():
        page = response.content.decode()
        assert page.startswith("<!doctype html><title>"), name
        assert '<h1 id="title">Corner Shop</h1>' in page, name
        assert " at Corner Shop</title>" in page, name
        assert page.count('<div class="finta-keys" data-finta-keys-user=') == 1, name


@pytest.mark.rule("K2")
def test_turbo_ignores_pages_and_keeps_no_secret(responses):
    # Turbo ignores form responses that do not redirect, and caches pages for the Back button.
    for name, response in responses.items():
        assert re.search(r'<div class="finta-keys" [^>]*data-turbo="false"', response.content.decode()), name
    (panel,) = re.findall(r'<section class="finta-panel"[^>]*>', responses["secret"].content.decode())
    assert "data-turbo-temporary" in panel


def test_pages_load_assets_outside_replaced_part(responses):
    for response in responses.values():
        before, ours = response.content.decode().split('<div class="page">')[1].split('<div class="finta-keys"')
        assert before.count("finta_keys/style.css") == before.count("finta_keys/keys.js") == 1
        assert "<link" not in ours
        assert "<script" not in ours


LOADED_LATER = ["dialog.js", "draft.js", "scope.js", "secret.js"]  # by page.js


def test_every_script_is_loaded_once(responses):
    page = responses["list"].content.decode()
    folder = Path(finders.find("finta_keys/keys.js")).parent
    loaded = re.findall(r'<script src="[^"]*finta_keys/([\w.]+)"[^>]* defer>', page)
    assert sorted([*loaded, *LOADED_LATER, "admin.js"]) == sorted(path.name for path in folder.glob("*.js"))
    assert (loaded[0], loaded[-1]) == ("page.js", "keys.js")


def test_form_with_accounts_names_its_script(responses):
    """``page.js`` loads it."""
    for action in ("create", "edit_scope"):
        (src,) = re.findall(r'data-scope="([^"]+)"', responses[action].content.decode())
        assert finders.find(src.removeprefix("/static/"))


def test_host_can_load_assets_itself(host, alices_browser, restricted):
    (host / "finta_keys").mkdir()
    (host / "finta_keys" / "_assets.html").write_text('<link rel="stylesheet" href="/all.css">')
    page = alices_browser.get(url("list")).content.decode()
    assert "/all.css" in page
    assert "finta_keys/style.css" not in page
    assert "finta_keys/keys.js" not in page


def test_ids_have_prefix(responses):
    ids = {name for response in responses.values() for name in re.findall(r'\bid="([^"]+)"', response.content.decode())}
    assert {name for name in ids if not re.match("finta[_-]keys[_-]", name)} == {"header", "title", "secret"}


def test_css_classes_have_prefix(responses, alices_browser):
    """``errorlist`` is Django's."""
    invalid = submit(alices_browser, url("create"), name="")
    pages = [response.content.decode().split('<div class="page">')[1] for response in [*responses.values(), invalid]]
    classes = {name for page in pages for names in re.findall(r'\bclass="([^"]+)"', page) for name in names.split()}
    assert {name for name in classes if not name.startswith("finta-")} == {"errorlist"}


def test_stylesheets_use_only_prefixed_classes():
    sheets = "".join(Path(finders.find(f"finta_keys/{name}.css")).read_text() for name in ("style", "dialog"))
    sheet = re.sub(r"/\*.*?\*/|url\(.*?\)", "", sheets, flags=re.DOTALL)
    classes = re.findall(r"\.([a-z][\w-]*)", sheet)
    assert {name for name in classes if not name.startswith("finta-")} == {"errorlist"}


@pytest.mark.parametrize(
    ("level", "item"),
    [
        (messages.SUCCESS, "<li>"),
        (messages.WARNING, '<li class="finta-warning">'),
        (messages.ERROR, '<li class="finta-warning">'),
    ],
)
def test_message_style_depends_on_level(settings, level, item):
    settings.MESSAGE_TAGS = {level: "danger tag"}
    page = render_to_string("finta_keys/_messages.html", {"messages": [Message(level, "Closed", "button")]})
    assert re.findall("<li.*?>", page) == [item]


def test_success_message_appears_once(host, alices_browser, restricted):
    """It is inside the part that the scripts insert into the page."""
    submit(alices_browser, url("rename", restricted.key), name="Laptop")
    page = alices_browser.get(url("list")).content.decode()
    assert page.count("Renamed to “Laptop”.") == 1
    assert "Renamed" in page.split('<div class="finta-keys"')[1]
    assert "Renamed" not in alices_browser.get(url("list")).content.decode()


def test_admin_shows_messages_once(host, restricted):
    browser = admin_pages.operator()
    address = submit(browser, admin_pages.url("rename", restricted.key.pk), name="Laptop").url
    assert "Renamed to “Laptop”." in read(browser.get(address))
    submit(browser, admin_pages.url("rename", restricted.key.pk), name="Phone")
    page = read(browser.get(admin_pages.url("edit_scope", restricted.key.pk)))
    assert page.count("Renamed to “Phone”.") == 1


def test_pages_work_without_messages_app(host, settings, alices_browser, restricted):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    host_processors = settings.TEMPLATES[0]["OPTIONS"]["context_processors"]
    processors = [name for name in host_processors if "auth" in name]  # neither messages nor the request
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {"context_processors": processors}}]
    assert submit(alices_browser, url("rename", restricted.key), name="Laptop").status_code == 302
    page = alices_browser.get(url("list")).content.decode()
    assert "Laptop" in page
    assert re.search(r'data-finta-keys-user="[^"]+"', page)
    assert shown_secret(create(alices_browser))
    assert ApiKey.objects.count() == 2


def test_default_base_template_is_used(settings, alices_browser, restricted):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    del settings.FINTA_KEYS_BASE_TEMPLATE
    page = alices_browser.get(url("list")).content.decode()
    assert '<html lang="en" dir="ltr">' in page
    assert "<title>API settings</title>" in page
    assert '<body class="finta-keys">' in page
    assert "Storage Mode" not in read(alices_browser.get(url("create")))
