"""``FINTA_KEYS_PREFIX`` is respected everywhere: otherwise a secret would be treated as plain text."""

import io
import logging
import re

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from finta_keys import leaks, names, redaction, secret
from finta_keys.forms import ListForm
from finta_keys.models import ApiKey
from finta_keys.openapi import ApiKeyScheme
from finta_keys.testing import make_key
from tests.conftest import ApiClient

SHOP = r"shop_[0-9A-Za-z]{54}"


@pytest.fixture(autouse=True)
def prefix(settings):
    settings.FINTA_KEYS_PREFIX = "shop_"


@pytest.mark.rule("X1")
def test_new_secret_has_the_prefix(alice, accounts):
    key, generated = make_key(alice, "Till")
    assert re.fullmatch(SHOP, generated)
    assert key.hint == f"shop_{generated[5:9]}…{generated[-4:]}"
    assert repr(generated) == f"<Secret {key.hint}>"
    assert ApiKey.objects.authenticate(generated) == key
    assert ApiClient(generated).get("/v2/me").status_code == 200


@pytest.mark.rule("X1")
def test_rotate_and_createkey_use_the_prefix(alice, accounts):
    key, _ = make_key(alice, "Till")
    assert re.fullmatch(SHOP, key.rotate())
    out = io.StringIO()
    call_command("createkey", user=alice.email, name="Shell", stdout=out, stderr=io.StringIO())
    assert re.fullmatch(SHOP + "\n", out.getvalue())


@pytest.mark.rule("X1")
def test_secret_with_another_prefix_is_rejected(alice):
    _, generated = make_key(alice, "Till")
    assert not secret.is_wellformed(generated)
    other = secret.generate()
    assert ApiKey.objects.authenticate(other) is None
    assert ApiClient(other).get("/v2/me").status_code == 401


@pytest.mark.rule("K2")
def test_name_cannot_contain_a_secret():
    with pytest.raises(ValidationError, match="contains the secret of a key"):
        names.clean(f"Till {secret.generate('shop_')}")
    assert names.clean(secret.generate())


@pytest.mark.rule("K2")
def test_search_replaces_secret_by_hint(alice):
    key, generated = make_key(alice, "Till")
    assert ListForm({"q": generated}).data["q"] == key.hint


def test_scankeys_finds_the_prefix():
    generated = secret.generate("shop_")
    assert list(leaks.find(io.BytesIO(f"x {generated} {secret.generate()}".encode()))) == [(1, generated)]
    assert redaction.without_secrets(generated) == secret.hint(generated)


def test_openapi_describes_the_prefix():
    definition = ApiKeyScheme(target=None).get_security_definition(None)
    assert definition["bearerFormat"] == "shop_…"
    assert f"^{SHOP}$" in definition["description"]


@pytest.mark.rule("X1")
@pytest.mark.parametrize("prefix", ["A_", "sk_live_", "s" * 31 + "_"])
def test_hint_of_long_prefix_fits_its_column(prefix):
    generated = secret.generate(prefix)
    assert secret.is_wellformed(generated, prefix)
    assert len(secret.hint(generated)) == len(prefix) + 9 <= ApiKey._meta.get_field("hint").max_length


@pytest.fixture
def shop_secret(settings):
    settings.FINTA_KEYS_PREFIX = "shop_"
    return secret.generate("shop_")


@pytest.mark.rule("K2")
@pytest.mark.parametrize("text", ["{}", "Bearer {}", "{{'authorization': '{}'}}", "/keys?secret={}"])
def test_redaction_knows_the_prefix(shop_secret, text):
    assert shop_secret[5:50] not in redaction.redact(text.format(shop_secret))
    assert redaction.redact(shop_secret[:40]) == "shop_…"


@pytest.mark.rule("K2")
def test_redacting_filter_hides_secrets_in_any_log(shop_secret, caplog):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(redaction.RedactingFilter())
    logger = logging.getLogger("shops")
    logger.addHandler(handler)
    try:
        raise ValueError(str(shop_secret))
    except ValueError:
        logger.exception("got %s", str(shop_secret))
        logger.error("%s", str(shop_secret), "one too many")
    finally:
        logger.removeHandler(handler)
    assert f"got {secret.hint(shop_secret)}" in stream.getvalue()
    assert "Traceback" in stream.getvalue()
    assert "Cannot format the message" in stream.getvalue()
    assert shop_secret[5:50] not in stream.getvalue()


def test_redact_event_keeps_other_values():
    event = {"level": "error", "count": 3, "values": [None, True, ("a", 1.5)]}
    assert redaction.redact_event(event, {}) == {"level": "error", "count": 3, "values": [None, True, ["a", 1.5]]}


def test_redaction_works_before_settings_are_loaded(monkeypatch):
    monkeypatch.setattr(redaction, "conf", None)
    assert redaction.redact(f"finta_{'x' * 54}") == "finta_xxxx…xxxx"
