"""``FINTA_KEYS_PREFIX`` is respected everywhere: otherwise a secret would be treated as plain text."""

import io
import re

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from finta_keys import leaks, names, secret
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
    assert leaks.without_secrets(generated) == secret.hint(generated)


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
