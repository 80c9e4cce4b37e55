"""Every text of the pages is translatable and uses the host's word for accounts."""

from __future__ import annotations

import re
import struct

import pytest
from django.utils import translation

from accounts_app.models import User
from finta_keys import display
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys import admin_pages, spoken
from tests.finta_keys.pages import read, submit, url


@pytest.fixture(autouse=True)
def _host(settings, monkeypatch):
    """A host without the site's templates and without words of its models."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "finta_keys/base.html"
    settings.FINTA_KEYS_FRESH_SIGN_IN = ""
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("xxstore", "xxstores")
    monkeypatch.setattr(User._meta.get_field("email"), "verbose_name", "xxmail")


@pytest.fixture
def owner(db):
    return UserFactory(email="xx.owner@example.com")


@pytest.fixture
def owners_browser(owner):
    return admin_pages.signed_in(owner)


@pytest.fixture
def marks(monkeypatch):
    """Activate a language that puts every text between ⟦ and ⟧."""

    def mark(position):
        return lambda *texts: f"⟦{texts[position]}⟧"

    for name, position in {"gettext": 0, "ngettext": 1, "pgettext": 1, "npgettext": 2}.items():
        monkeypatch.setattr(translation._trans, name, mark(position))


def test_unmarked_texts_are_reported():
    page = spoken.Spoken('<p title="left">⟦Some <b>text</b>⟧ and <i>xx 1</i></p><script>code</script>')
    assert [text for text in page.unmarked if spoken.letters(text)] == ["left", "and"]


@pytest.mark.slow
def test_settings_pages_are_translatable(marks, owner, owners_browser):
    assert unmarked(spoken.owners_pages(owner, owners_browser)) == {}


@pytest.mark.slow
def test_admin_pages_are_translatable(marks, owner):
    assert unmarked(spoken.admins_pages(owner)) == {}


def unmarked(pages):
    """Return the texts that are not translated, by page."""
    result = {}
    for state, response in pages:
        assert "⟦" in response.content.decode(), state
        texts = [text for text in spoken.Spoken(response.content.decode()).unmarked if spoken.letters(text)]
        result |= {state: texts} if texts else {}
    return result


@pytest.mark.slow
def test_pages_use_hosts_word_for_accounts(settings, owner, owners_browser):
    one, several = settings.FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")
    pages = {state: texts(response) for state, response in spoken.owners_pages(owner, owners_browser)}
    another = UserFactory(email="xx.another@example.com")
    pages |= {f"admin: {state}": texts(response) for state, response in spoken.admins_pages(another)}
    assert {state: text for state, text in pages.items() if "account" in text.lower()} == {}
    for state, sentence in {
        "list of none": f"Keys let your scripts and integrations use your {several}.",
        "create without accounts": f"You have no {several} to select yet.",
        "list of one": f"1 of 3 {several}",
        "no account": f"Select at least one {one}, or turn on “Share all {several}”.",
        "account of another user": f"At least one of these {several} is gone or belongs to another user.",
        "create with many accounts": f"Find a {one}",
        "list without matches": f"can access a {one} with this name",
        "list of many": f"All {several}, including future ones",
        "edit_scope, of one account": f"Includes {several} you add later.",
        "rotate, of all accounts": f"It can access all {several}, including future ones. Currently 3 {several}:",
        "rotate, of accounts that are gone": f"It can access nothing: the {several} in its scope are gone.",
        "admin: choose owner": f"It can access only its owner’s {several}.",
        "admin: list": f"By share all {several}",
        "admin: change": f"{several.capitalize()} it can access",
        "admin: history": f"Edited scope: 1 {one}, read and write.",
    }.items():
        assert sentence in pages[state], state


def texts(response):
    """Return the texts of a page, then those of attributes, in single spaces."""
    attributes = spoken.Spoken(response.content.decode()).texts
    return " ".join(" ".join([read(response), *attributes]).split())


@pytest.mark.parametrize(
    ("word", "with_article"),
    [("account", "an account"), ("Order", "an Order"), ("store", "a store"), ("user", "a user")],
)
def test_article_fits_word(settings, word, with_article):
    settings.FINTA_KEYS_ACCOUNT_WORDS = (word, f"{word}s")
    assert display.words()["an_account_word"] == with_article


def test_words_default_to_verbose_names(settings):
    del settings.FINTA_KEYS_ACCOUNT_WORDS
    assert display.words() == {
        "account_word": "account",
        "account_words": "accounts",
        "an_account_word": "an account",
    }


# With a catalog

GERMAN = {
    "API settings": "API-Einstellungen",
    "Rename": "Umbenennen",
    "Deleted “%(name)s”.": "„%(name)s“ ist gelöscht.",
    "%(number)s of %(total)s %(account_word)s\0%(number)s of %(total)s %(account_words)s": (
        "%(number)s von %(total)s %(account_word)s\0%(number)s von %(total)s %(account_words)s"
    ),
    "format of a day\4j F Y": "j. F Y",
    "Enter a name, such as where the key is used.": "Geben Sie dem Schlüssel einen Namen.",
}
GERMAN_JS = {"Close": "Schließen"}


@pytest.fixture
def german(settings, tmp_path, monkeypatch):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(catalog(GERMAN))
    (folder / "djangojs.mo").write_bytes(catalog(GERMAN_JS))
    settings.USE_I18N = True
    settings.LOCALE_PATHS = [tmp_path]
    settings.LANGUAGE_CODE = "de"
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("Filiale", "Filialen")
    monkeypatch.setattr(translation, "_trans", type(translation._trans)())  # drop the cached catalogs


def catalog(texts):
    """Return the bytes of a .mo file."""
    head = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
    pairs = [[text.encode() for text in pair] for pair in sorted({"": head, **texts}.items())]
    count, at = len(pairs), 28 + 16 * len(pairs)
    tables, strings = [b"", b""], b""
    for side in (0, 1):
        for pair in pairs:
            tables[side] += struct.pack("<II", len(pair[side]), at + len(strings))
            strings += pair[side] + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, at) + b"".join(tables) + strings


def test_page_uses_active_language(german, alice, alices_browser, accounts):
    key, _ = make_key(alice, "Laptop", [accounts.checking])
    ApiKey.objects.update(last_used_at=key.created_at)
    page = alices_browser.get(url("list")).content.decode()
    text = read(alices_browser.get(url("list")))
    assert '<html lang="de" dir="ltr">' in page
    assert "<h1>API-Einstellungen</h1>" in page
    assert "1 von 3 Filialen" in text
    assert "Umbenennen" in text or "Rename" in text
    assert re.search(rf'title="{key.created_at.day}\. ', page)
    invalid = read(submit(alices_browser, url("rename", key), name=""))
    assert "Geben Sie dem Schlüssel einen Namen." in invalid
    deleted = alices_browser.get(submit(alices_browser, url("delete", key)).url)
    assert "„Laptop“ ist gelöscht." in read(deleted)


def test_translated_pages_load_catalog_for_scripts(german, settings, alices_browser):
    page = alices_browser.get(url("list")).content.decode()
    assert page.index(f'<script src="{url("texts")}" defer>') < page.index("finta_keys/page.js")
    assert "Schlie\\u00dfen" in alices_browser.get(url("texts")).content.decode()
    for language in ("en", "en-gb"):
        settings.LANGUAGE_CODE = language
        assert url("texts") not in alices_browser.get(url("list")).content.decode()


def test_right_to_left_language_sets_direction(german, settings, alices_browser):
    settings.LANGUAGE_CODE = "ar"
    assert '<html lang="ar" dir="rtl">' in alices_browser.get(url("list")).content.decode()
