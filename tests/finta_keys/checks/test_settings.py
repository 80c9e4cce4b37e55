"""What the system checks find in the settings before it fails late."""

import datetime as dt
from secrets import token_hex

import pytest
from django.core import checks as django_checks
from django.utils.translation import gettext_lazy

from finta_keys import conf
from finta_keys.checks import settings as checks
from tests.finta_keys.checks.messages import only

# --- E001, E002: peppers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peppers", [[], None, ["1" * 63], ["11" * 31], ["xy" * 32], ["11" * 32, "short"]], ids=repr)
def test_E001_bad_peppers_are_found(settings, peppers):
    settings.FINTA_KEYS_PEPPERS = peppers
    message = only(checks.check_peppers(None), "finta_keys.E001")
    assert "token_hex(32)" in message.msg
    assert message.hint == "Keys that are there already need the pepper that they were made with: put that one back."
    assert "1111" not in str(message)


def test_E001_missing_peppers_are_found(settings):
    del settings.FINTA_KEYS_PEPPERS
    only(checks.check_peppers(None), "finta_keys.E001")


def test_E002_a_pepper_that_is_named_twice_is_found(settings):
    settings.FINTA_KEYS_PEPPERS = ["ab" * 32, "11" * 32, "AB" * 32]
    message = only(checks.check_peppers(None), "finta_keys.E002")
    assert "abab" not in str(message).lower()
    assert "put a new one in front" in message.hint


def test_several_good_peppers_are_fine(settings):
    settings.FINTA_KEYS_PEPPERS = ["ab" * 32, "11" * 32]
    assert checks.check_peppers(None) == []


# --- E009, W010: peppers that others know ----------------------------------------------------------------------------

RANDOM = "5f0d1c9ae47b2386d1f05c7a9be832640c1d9f7e3ab84562e09d7c1b5fa48326"


@pytest.mark.parametrize(
    ("secret_key", "fallbacks"),
    [
        (RANDOM, []),
        (RANDOM.upper(), []),
        (f"django-{RANDOM}!", []),
        (RANDOM.encode(), []),
        (bytes.fromhex(RANDOM), []),
        (b"x" + bytes.fromhex(RANDOM), []),
        ("another", ["yet another", RANDOM]),
    ],
    ids=["equal", "in capitals", "contained", "bytes", "decoded", "decoded and contained", "fallback"],
)
def test_E009_a_pepper_that_is_the_secret_key_or_part_of_it_is_found(settings, secret_key, fallbacks):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret_key, fallbacks
    settings.FINTA_KEYS_PEPPERS = ["ab" * 32, RANDOM]
    message = only(checks.check_peppers_are_not_secret_key(None), "finta_keys.E009")
    assert message.msg.startswith("Pepper 2 of FINTA_KEYS_PEPPERS")
    assert "token_hex(32)" in message.hint
    assert message.is_serious()
    assert RANDOM[:8] not in str(message).lower()


def test_E009_a_pepper_of_its_own_is_fine(settings):
    settings.SECRET_KEY, settings.FINTA_KEYS_PEPPERS = RANDOM[:-1], [RANDOM]
    assert checks.check_peppers_are_not_secret_key(None) == []


def test_E009_a_missing_secret_key_is_left_to_django_to_tell(settings):
    settings.SECRET_KEY = ""
    assert checks.check_peppers_are_not_secret_key(None) == []


@pytest.mark.parametrize(
    "pepper",
    [
        "00" * 32,
        "11" * 32,
        "FF" * 32,
        "0123456789abcdef" * 4,
        "fedcba9876543210" * 4,
        "0123456789" * 6 + "0123",
        "deadbeef" * 8,
        "00" * 31 + "01",
        bytes(range(32)).hex(),
        bytes(range(0xFF, 0xDF, -1)).hex(),
        bytes(range(240, 256)).hex() + bytes(range(16)).hex(),
    ],
)
def test_W010_a_made_up_pepper_is_found(settings, pepper):
    settings.FINTA_KEYS_PEPPERS = [RANDOM, pepper]
    message = only(checks.check_peppers_are_random(None), "finta_keys.W010")
    assert message.msg.startswith("Pepper 2 of FINTA_KEYS_PEPPERS looks made up")
    assert "token_hex(32)" in message.hint
    assert not message.is_serious()
    assert pepper[:8].lower() not in str(message).lower()


def test_W010_random_peppers_are_fine(settings):
    settings.FINTA_KEYS_PEPPERS = [RANDOM, *(token_hex(32) for _ in range(100))]
    assert checks.check_peppers_are_random(None) == []


def test_W010_is_for_deployments_only():
    registry = django_checks.registry.registry
    assert checks.check_peppers_are_random in registry.deployment_checks
    assert checks.check_peppers_are_random not in registry.registered_checks


@pytest.mark.parametrize("peppers", [[], ["short"], None])
def test_bad_peppers_are_told_once(settings, peppers):
    settings.FINTA_KEYS_PEPPERS = peppers
    only(checks.check_peppers(None), "finta_keys.E001")
    assert checks.check_peppers_are_not_secret_key(None) == checks.check_peppers_are_random(None) == []


# --- E011 to E014: what a project may set ---------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "shop", "_", "9_", "_shop_", "sh-op_", "shöp_", "shop_ ", "s" * 32 + "_", None])
def test_E011_what_cannot_be_a_prefix_is_found(settings, prefix):
    settings.FINTA_KEYS_PREFIX = prefix
    message = only(checks.check_prefix(None), "finta_keys.E011")
    assert message.msg == f"FINTA_KEYS_PREFIX is {str(prefix)!r}, which cannot be the prefix of secrets."
    assert '"shop_"' in message.hint


@pytest.mark.parametrize("prefix", ["shop_", "sk_live_", "A_", "x9_", "s" * 31 + "_"])
def test_E011_prefixes_of_letters_digits_and_underscores_are_fine(settings, prefix):
    settings.FINTA_KEYS_PREFIX = prefix
    assert checks.check_prefix(None) == []


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", None, True])
def test_E012_an_interval_that_is_no_number_of_seconds_is_found(settings, seconds):
    settings.FINTA_KEYS_LAST_USED_INTERVAL = seconds
    message = only(checks.check_last_used_interval(None), "finta_keys.E012")
    assert message.msg == f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}."


@pytest.mark.parametrize("seconds", [1, 60, 86_400])
def test_E012_seconds_are_fine(settings, seconds):
    settings.FINTA_KEYS_LAST_USED_INTERVAL = seconds
    assert checks.check_last_used_interval(None) == []
    assert conf.last_used_interval() == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("words", ["st", ["store"], ("store", ""), ("a", "b", "c"), (1, 2), {}, ""])
def test_E013_words_that_are_not_two_are_found(settings, words):
    settings.FINTA_KEYS_ACCOUNT_WORDS = words
    assert '("store", "stores")' in only(checks.check_account_words(None), "finta_keys.E013").hint


@pytest.mark.parametrize("words", [("store", "stores"), ["store", gettext_lazy("stores")]])
def test_E013_two_words_are_fine(settings, words):
    settings.FINTA_KEYS_ACCOUNT_WORDS = words
    assert checks.check_account_words(None) == []
    assert conf.account_words() == ("store", "stores")


def test_the_words_are_at_first_those_of_the_model(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "admin.LogEntry"
    assert conf.account_words() == ("log entry", "log entries")


TEMPLATES = {
    "whole": "{% block title %}{% endblock %}{% block content %}{% endblock %}",
    "child": '{% extends "whole" %}{% block title %}x{% endblock %}',
    "variable": "{% extends request.base %}",
    "untitled": "<main>{% block content %}{% endblock %}</main>",
    "grandchild": '{% extends "untitled" %}{% block content %}{% block more %}{% endblock %}{% endblock %}',
    "orphan": '{% extends "nowhere" %}',
    "broken": "{% block title %}",
    "itself": '{% extends "itself" %}',
}


@pytest.fixture
def templates(settings):
    loaders = [("django.template.loaders.locmem.Loader", TEMPLATES)]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nowhere", "leads to the template 'nowhere', which does not exist"),
        ("", "leads to the template '', which does not exist"),
        ("orphan", "leads to the template 'nowhere', which does not exist"),
        ("untitled", "has no block 'title'"),
        ("grandchild", "has no block 'title'"),
    ],
)
def test_E014_a_base_template_that_cannot_hold_the_pages_is_found(settings, templates, name, problem):
    settings.FINTA_KEYS_BASE_TEMPLATE = name
    message = only(checks.check_base_template(None), "finta_keys.E014")
    assert message.msg == f"FINTA_KEYS_BASE_TEMPLATE is {name!r}, which {problem}."
    assert "blocks title and content" in message.hint


def test_E014_a_base_template_with_a_mistake_is_found(settings, templates):
    settings.FINTA_KEYS_BASE_TEMPLATE = "broken"
    message = only(checks.check_base_template(None), "finta_keys.E014")
    assert message.msg.startswith("FINTA_KEYS_BASE_TEMPLATE is 'broken', which cannot be read (")
    assert "Unclosed tag on line 1" in message.msg


@pytest.mark.parametrize("name", ["whole", "child", "variable", "itself"])
def test_E014_a_base_template_with_both_blocks_is_fine(settings, templates, name):
    settings.FINTA_KEYS_BASE_TEMPLATE = name
    assert checks.check_base_template(None) == []


def test_E014_the_templates_of_another_engine_cannot_be_looked_into(settings, tmp_path):
    (tmp_path / "base.html").write_text("")
    backend = "django.template.backends.dummy.TemplateStrings"
    settings.TEMPLATES = [{"BACKEND": backend, "DIRS": [tmp_path], "APP_DIRS": False}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "base.html"
    assert checks.check_base_template(None) == []


def test_W022_a_misspelt_setting_is_found(settings):
    assert checks.check_names_of_settings(None) == []
    settings.FINTA_KEYS_FRESH_SIGNIN = "shops.ask"
    message = only(checks.check_names_of_settings(None), "finta_keys.W022")
    assert message.msg == "FINTA_KEYS_FRESH_SIGNIN is no setting of finta_keys."
    assert message.hint.startswith("Did you mean FINTA_KEYS_FRESH_SIGN_IN? The settings are: FINTA_KEYS_PEPPERS, ")


def test_W022_names_that_are_like_none_get_the_list(settings):
    settings.FINTA_KEYS_ZZZZZZZZZZZZZZZZZZ = 1
    assert only(checks.check_names_of_settings(None), "finta_keys.W022").hint.startswith("The settings are: ")


def test_E014_a_project_without_templates_has_no_pages(settings):
    settings.TEMPLATES = []
    assert checks.check_base_template(None) == []
