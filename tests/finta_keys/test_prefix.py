"""X1 with a prefix that the project has chosen: everywhere, or a secret would be taken for text."""

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


def test_X1_a_new_secret_has_it_and_works(alice, accounts):
    key, made = make_key(alice, "Till")
    assert re.fullmatch(SHOP, made)
    assert key.hint == f"shop_{made[5:9]}…{made[-4:]}"
    assert repr(made) == f"<Secret {key.hint}>"
    assert ApiKey.objects.authenticate(made) == key
    assert ApiClient(made).get("/v2/me").status_code == 200


def test_X1_a_rotated_one_and_that_of_the_command_have_it(alice, accounts):
    key, _ = make_key(alice, "Till")
    assert re.fullmatch(SHOP, key.rotate())
    out = io.StringIO()
    call_command("createkey", user=alice.email, name="Shell", stdout=out, stderr=io.StringIO())
    assert re.fullmatch(SHOP + "\n", out.getvalue())


def test_X1_a_secret_of_another_prefix_is_not_ours(alice):
    _, made = make_key(alice, "Till")
    assert not secret.is_wellformed(made)
    other = secret.generate()
    assert ApiKey.objects.authenticate(other) is None
    assert ApiClient(other).get("/v2/me").status_code == 401


def test_K2_a_name_cannot_be_such_a_secret_and_may_be_one_of_another_prefix():
    with pytest.raises(ValidationError, match="contains the secret of a key"):
        names.clean(f"Till {secret.generate('shop_')}")
    assert names.clean(secret.generate())


def test_K2_a_search_keeps_its_hint_only(alice):
    key, made = make_key(alice, "Till")
    assert ListForm({"q": made}).data["q"] == key.hint


def test_a_leaked_one_is_found_in_any_encoding():
    made = secret.generate("shop_")
    assert list(leaks.find(io.BytesIO(f"x {made} {secret.generate()}".encode()))) == [(1, made)]
    assert list(leaks.find(io.BytesIO(made.encode("utf-16")))) == [(1, made)]
    assert leaks.without_secrets(made) == secret.hint(made)


def test_the_description_of_an_api_says_it():
    definition = ApiKeyScheme(target=None).get_security_definition(None)
    assert definition["bearerFormat"] == "shop_…"
    assert f"^{SHOP}$" in definition["description"]


@pytest.mark.parametrize("prefix", ["A_", "sk_live_", "s" * 31 + "_"])
def test_X1_the_hint_of_any_prefix_fits_its_column(prefix):
    made = secret.generate(prefix)
    assert secret.is_wellformed(made, prefix)
    assert len(secret.hint(made)) == len(prefix) + 9 <= ApiKey._meta.get_field("hint").max_length
