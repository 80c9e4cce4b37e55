"""System checks of this app's settings."""

import datetime as dt

import pytest
from django.utils.translation import gettext_lazy

from finta_keys import conf
from finta_keys.checks import settings as checks
from tests.finta_keys.checks.messages import only

NUMBERS_OF_DAYS = ("FINTA_KEYS_MAX_AGE", "FINTA_KEYS_HISTORY_DAYS", "FINTA_KEYS_RETIRED_SECRET_DAYS")

# --- E001: peppers ---------------------------------------------------------------------------------------------------

RANDOM = "5f0d1c9ae47b2386d1f05c7a9be832640c1d9f7e3ab84562e09d7c1b5fa48326"


@pytest.mark.rule("X3")
@pytest.mark.parametrize("peppers", [[], None, ["1" * 63], ["11" * 31], ["xy" * 32], ["11" * 32, "short"]], ids=repr)
def test_invalid_peppers_are_reported(settings, peppers):
    settings.FINTA_KEYS_PEPPERS = peppers
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert "token_hex(32)" in message.msg
    assert "restore that pepper" in message.hint
    assert "1111" not in str(message)


@pytest.mark.rule("X3")
def test_missing_peppers_are_reported(settings):
    del settings.FINTA_KEYS_PEPPERS
    only(checks.check_settings(None), "finta_keys.E001")


def test_several_peppers_pass(settings):
    settings.FINTA_KEYS_PEPPERS = ["ab" * 32, "11" * 32]
    assert checks.check_settings(None) == []


@pytest.mark.rule("X3")
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
    ids=["equal", "upper case", "contained", "bytes", "decoded", "decoded and contained", "fallback"],
)
def test_pepper_in_secret_key_is_reported(settings, secret_key, fallbacks):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret_key, fallbacks
    settings.FINTA_KEYS_PEPPERS = ["ab" * 32, RANDOM]
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg.startswith("Pepper 2 of FINTA_KEYS_PEPPERS")
    assert "token_hex(32)" in message.hint
    assert message.is_serious()
    assert RANDOM[:8] not in str(message).lower()


def test_pepper_outside_secret_key_passes(settings):
    settings.SECRET_KEY, settings.FINTA_KEYS_PEPPERS = RANDOM[:-1], [RANDOM]
    assert checks.check_settings(None) == []


def test_missing_secret_key_is_left_to_django(settings):
    settings.SECRET_KEY = ""
    assert checks.check_settings(None) == []


# --- E001: other settings, W022 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "shop", "_", "9_", "_shop_", "sh-op_", "shöp_", "shop_ ", "s" * 32 + "_", None])
def test_invalid_prefix_is_reported(settings, prefix):
    settings.FINTA_KEYS_PREFIX = prefix
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg == f"FINTA_KEYS_PREFIX is {str(prefix)!r}, which is not a valid prefix of secrets."
    assert '"shop_"' in message.hint


@pytest.mark.parametrize("prefix", ["shop_", "sk_live_", "A_", "x9_", "s" * 31 + "_"])
def test_valid_prefix_passes(settings, prefix):
    settings.FINTA_KEYS_PREFIX = prefix
    assert checks.check_settings(None) == []


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", None, True])
def test_invalid_interval_is_reported(settings, seconds):
    settings.FINTA_KEYS_LAST_USED_INTERVAL = seconds
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg == f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}."


@pytest.mark.parametrize("seconds", [1, 60, 86_400])
def test_valid_interval_passes(settings, seconds):
    settings.FINTA_KEYS_LAST_USED_INTERVAL = seconds
    assert checks.check_settings(None) == []
    assert conf.last_used_interval() == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("name", NUMBERS_OF_DAYS)
@pytest.mark.parametrize("days", [0, -1, 36_501, 1.5, "90", True])
def test_number_of_days_must_be_whole(settings, name, days):
    setattr(settings, name, days)
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg == f"{name} is {days!r}."


@pytest.mark.parametrize("name", NUMBERS_OF_DAYS)
@pytest.mark.parametrize("days", [1, 36_500, None])
def test_valid_number_of_days_passes(settings, name, days):
    setattr(settings, name, days)
    assert checks.check_settings(None) == []


@pytest.mark.parametrize("words", ["st", ["store"], ("store", ""), ("a", "b", "c"), (1, 2), {}, ""])
def test_invalid_account_words_are_reported(settings, words):
    settings.FINTA_KEYS_ACCOUNT_WORDS = words
    assert '("store", "stores")' in only(checks.check_settings(None), "finta_keys.E001").hint


@pytest.mark.parametrize("words", [("store", "stores"), ["store", gettext_lazy("stores")]])
def test_two_account_words_pass(settings, words):
    settings.FINTA_KEYS_ACCOUNT_WORDS = words
    assert checks.check_settings(None) == []
    assert conf.account_words() == ("store", "stores")


def test_account_words_default_to_verbose_names(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "admin.LogEntry"
    assert conf.account_words() == ("log entry", "log entries")


@pytest.fixture
def templates(settings):
    sources = {
        "complete": "{% block title %}{% endblock %}{% block content %}{% endblock %}",
        "broken": "{% block x %}",
    }
    loaders = [("django.template.loaders.locmem.Loader", sources)]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing", "does not exist"), ("", "does not exist"), ("broken", "has a syntax error (")],
)
def test_unusable_base_template_is_reported(settings, templates, name, problem):
    settings.FINTA_KEYS_BASE_TEMPLATE = name
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg.startswith(f"FINTA_KEYS_BASE_TEMPLATE is {name!r}, which {problem}")
    assert "blocks title and content" in message.hint


def test_existing_base_template_passes(settings, templates):
    settings.FINTA_KEYS_BASE_TEMPLATE = "complete"
    assert checks.check_settings(None) == []


def test_project_without_templates_passes(settings):
    settings.TEMPLATES = []
    assert checks.check_settings(None) == []


@pytest.mark.parametrize("path", ["no_module_of_this_name.ask", "builtins.__name__", 5])
def test_unusable_client_address_is_reported(settings, path):
    settings.FINTA_KEYS_CLIENT_ADDRESS = path
    message = only(checks.check_settings(None), "finta_keys.E001")
    assert message.msg.startswith(f"FINTA_KEYS_CLIENT_ADDRESS is {path!r}, which cannot be used: ")
    assert "returns an address" in message.hint


def test_misspelled_setting_is_reported(settings):
    assert checks.check_names_of_settings(None) == []
    settings.FINTA_KEYS_FRESH_SIGNIN = "shops.ask"
    message = only(checks.check_names_of_settings(None), "finta_keys.W022")
    assert message.msg == "FINTA_KEYS_FRESH_SIGNIN is not a setting of finta_keys."
    assert "FINTA_KEYS_FRESH_SIGN_IN" in message.hint
