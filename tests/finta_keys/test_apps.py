"""Starting the app, with and without drf-spectacular."""

import subprocess
import sys
from unittest import mock

import pytest
from django.apps import apps
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from finta_keys import openapi
from finta_keys.authentication import ApiKeyAuthentication

DEFAULT_AUTHENTICATION = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "finta_keys"],
    FINTA_KEYS_ACCOUNT_MODEL="auth.User",
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["finta_keys.authentication.ApiKeyAuthentication"]},
)
django.setup()
__import__(sys.argv[1])
"""


@pytest.mark.parametrize("spectacular", [object(), None], ids=["installed", "absent"])
def test_app_starts_without_drf_spectacular(spectacular):
    with mock.patch("finta_keys.apps.find_spec", return_value=spectacular):
        apps.get_app_config("finta_keys").ready()


def test_module_of_the_hook_is_imported_at_startup(settings, tmp_path, monkeypatch):
    """It may connect receivers of sign-ins that happen before a key is created."""
    (tmp_path / "own_sign_in.py").write_text("def ask(request):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.FINTA_KEYS_FRESH_SIGN_IN = "own_sign_in.ask"
    monkeypatch.delitem(sys.modules, "own_sign_in", raising=False)
    apps.get_app_config("finta_keys").ready()
    assert "own_sign_in" in sys.modules


def test_missing_hook_does_not_stop_the_start(settings):
    settings.FINTA_KEYS_FRESH_SIGN_IN = "nowhere.ask"
    apps.get_app_config("finta_keys").ready()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("configured", "problem"),
    [
        ("", "is not set."),
        ("FINTA_KEYS_ACCOUNT_MODEL=None", "is None."),
        ("FINTA_KEYS_ACCOUNT_MODEL='shops.models.Shop'", "is 'shops.models.Shop'."),
        ("FINTA_KEYS_ACCOUNT_MODEL='Shop'", "is 'Shop'."),
    ],
)
def test_missing_account_model_raises_a_clear_error(configured, problem):
    code = (
        "import django; from django.conf import settings;"
        f"settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth', 'finta_keys'],"
        f"{configured}); django.setup()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert result.stderr.splitlines()[-1] == (
        f"django.core.exceptions.ImproperlyConfigured: FINTA_KEYS_ACCOUNT_MODEL {problem} Set it to the app label "
        'and the name of the model that keys are limited to, such as "shops.Shop".'
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["rest_framework.views", "finta_keys.scoping", "finta_keys.fields", "finta_keys.testing"]
)
def test_class_can_be_a_default_authentication_class(module):
    # DRF imports the class while it loads its own views, so the class must not import them.
    command = [sys.executable, "-c", DEFAULT_AUTHENTICATION, module]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr


@pytest.mark.rule("X1")
def test_security_scheme_has_the_pattern():
    scheme = openapi.ApiKeyScheme.__new__(openapi.ApiKeyScheme)
    definition = scheme.get_security_definition(mock.Mock(spec=AutoSchema))
    assert (definition["type"], definition["scheme"]) == ("http", "bearer")
    assert "`^finta_[0-9A-Za-z]{54}$`" in definition["description"]


def test_subclass_has_the_security_scheme():
    class ProjectAuthentication(ApiKeyAuthentication):
        pass

    scheme = OpenApiAuthenticationExtension.get_match(ProjectAuthentication)
    assert isinstance(scheme, openapi.ApiKeyScheme)
