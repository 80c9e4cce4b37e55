"""What pages say can be said in every language, and calls accounts what the host calls them."""

from __future__ import annotations

import re
import struct

import pytest
from django.utils import translation

from accounts_app.models import User
from finta_keys import display
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys import admin_pages, spoken
from tests.finta_keys.pages import read, submit, url


@pytest.fixture(autouse=True)
def _a_host_of_its_own(settings, monkeypatch):
    """No templates of the site, and no word of its models."""
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
    """Translate into a language that puts every text between ⟦ and ⟧."""

    def marked(place):
        return lambda *words: f"⟦{words[place]}⟧"

    for name, place in {"gettext": 0, "ngettext": 1, "pgettext": 1, "npgettext": 2}.items():
        monkeypatch.setattr(translation._trans, name, marked(place))


def test_the_marks_are_seen():
    page = spoken.Spoken('<p title="left">⟦Some <b>text</b>⟧ and <i>xx 1</i></p><script>code</script>')
    assert [each for each in page.unmarked if spoken.letters(each)] == ["left", "and"]


def test_every_text_of_the_owners_pages_can_be_translated(marks, owner, owners_browser):
    assert unmarked(spoken.owners_pages(owner, owners_browser)) == {}


def test_every_text_of_the_admins_pages_can_be_translated(marks, owner):
    assert unmarked(spoken.admins_pages(owner)) == {}


def unmarked(pages):
    """Return by state what is not translated."""
    found = {}
    for state, answer in pages:
        assert "⟦" in answer.content.decode(), state
        left = [text for text in spoken.Spoken(answer.content.decode()).unmarked if spoken.letters(text)]
        found |= {state: left} if left else {}
    return found


def test_every_page_calls_accounts_what_the_host_calls_them(settings, owner, owners_browser):
    one, several = settings.FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")
    said = {state: texts(answer) for state, answer in spoken.owners_pages(owner, owners_browser)}
    another = UserFactory(email="xx.another@example.com")
    said |= {f"admin: {state}": texts(answer) for state, answer in spoken.admins_pages(another)}
    assert {state: each for state, each in said.items() if "account" in each.lower()} == {}
    for state, sentence in {
        "list of none": f"You have no keys yet A key lets a script or integration access your {several}: all of them",
        "create without accounts": f"You have no {several} to select yet.",
        "list of one": f"1 of 3 {several}",
        "no account": f"Choose at least one {one}, or turn on “Share all {several}”.",
        "somebody else's account": f"One of these {several} is not there any more, or is not this owner's.",
        "create with many accounts": f"Find a {one}",
        "list of nothing found": f"can access a {one} with this name",
        "list of many": f"All {several}, including future ones",
        "edit_scope, of one account": f"Includes {several} you add later.",
        "rotate, of all accounts": f"It can access all {several}, including future ones. Currently 3 {several}:",
        "rotate, of accounts that are gone": f"It can access nothing: the {several} in its scope are gone.",
        "admin: whose?": f"It can access only its owner’s {several}.",
        "admin: list": f"By share all {several}",
        "admin: change": f"{several.capitalize()} it can access",
        "admin: history": f"Edited scope: 1 {one}.",
    }.items():
        assert sentence in said[state], state


def texts(answer):
    """What a person reads and hears, attributes last, in single spaces."""
    page = answer.content.decode()
    heard = spoken.Spoken(page).texts
    return " ".join(" ".join([read(answer), *heard]).split())


@pytest.mark.parametrize(
    ("word", "said"), [("account", "an account"), ("Order", "an Order"), ("store", "a store"), ("user", "a user")]
)
def test_a_word_has_its_article(settings, word, said):
    settings.FINTA_KEYS_ACCOUNT_WORDS = (word, f"{word}s")
    assert display.words()["an_account_word"] == said


def test_without_words_of_its_own_a_host_has_those_of_its_model(settings):
    del settings.FINTA_KEYS_ACCOUNT_WORDS
    assert display.words() == {
        "account_word": "account",
        "account_words": "accounts",
        "an_account_word": "an account",
    }


# --- a real catalog --------------------------------------------------------------------------------------------------

GERMAN = {
    "API settings": "API-Einstellungen",
    "Rename": "Umbenennen",
    "Deleted “%(name)s”.": "„%(name)s“ ist gelöscht.",
    "%(number)s of %(total)s %(account_word)s\0%(number)s of %(total)s %(account_words)s": (
        "%(number)s von %(total)s %(account_word)s\0%(number)s von %(total)s %(account_words)s"
    ),
    "format of a day\4j F Y": "j. F Y",
    "Give the key a name, such as where it is used.": "Geben Sie dem Schlüssel einen Namen.",
}
GERMAN_OF_THE_SCRIPT = {"Close": "Schließen"}


@pytest.fixture
def german(settings, tmp_path, monkeypatch):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(catalog(GERMAN))
    (folder / "djangojs.mo").write_bytes(catalog(GERMAN_OF_THE_SCRIPT))
    settings.USE_I18N = True
    settings.LOCALE_PATHS = [tmp_path]
    settings.LANGUAGE_CODE = "de"
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("Filiale", "Filialen")
    monkeypatch.setattr(translation, "_trans", type(translation._trans)())  # the one that is there has no languages


def catalog(texts):
    """Return the bytes of a .mo file."""
    head = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
    pairs = [[each.encode() for each in pair] for pair in sorted({"": head, **texts}.items())]
    count, at = len(pairs), 28 + 16 * len(pairs)
    tables, strings = [b"", b""], b""
    for side in (0, 1):
        for pair in pairs:
            tables[side] += struct.pack("<II", len(pair[side]), at + len(strings))
            strings += pair[side] + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, at) + b"".join(tables) + strings


def test_a_page_is_shown_in_the_language_of_the_person(german, alice, alices_browser, accounts):
    key, _ = make_key(alice, "Laptop", [accounts.checking])
    page = alices_browser.get(url("list")).content.decode()
    said = read(alices_browser.get(url("list")))
    assert '<html lang="de" dir="ltr">' in page
    assert "<h1>API-Einstellungen</h1>" in page
    assert "1 von 3 Filialen" in said
    assert "Umbenennen" in said or "Rename" in said
    assert re.search(rf'title="{key.created_at.day}\. ', page)
    refused = read(submit(alices_browser, url("rename", key), name=""))
    assert "Geben Sie dem Schlüssel einen Namen." in refused
    deleted = alices_browser.get(submit(alices_browser, url("delete", key)).url)
    assert "„Laptop“ ist gelöscht." in read(deleted)


def test_the_script_is_given_its_texts_where_the_page_is_not_english(german, settings, alices_browser):
    page = alices_browser.get(url("list")).content.decode()
    assert page.index(f'<script src="{url("texts")}" defer>') < page.index("finta_keys/elements.js")
    assert "Schlie\\u00dfen" in alices_browser.get(url("texts")).content.decode()
    for language in ("en", "en-gb"):
        settings.LANGUAGE_CODE = language
        assert url("texts") not in alices_browser.get(url("list")).content.decode()


def test_a_language_that_is_written_from_the_right_is_shown_so(german, settings, alices_browser):
    settings.LANGUAGE_CODE = "ar"
    assert '<html lang="ar" dir="rtl">' in alices_browser.get(url("list")).content.decode()
