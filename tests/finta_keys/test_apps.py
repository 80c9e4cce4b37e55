"""How this app starts, with and without drf-spectacular beside it."""

from unittest import mock

import pytest
from django.apps import apps
from drf_spectacular.openapi import AutoSchema

from finta_keys import openapi


@pytest.mark.parametrize("spectacular", [object(), None], ids=["installed", "absent"])
def test_the_app_starts_with_drf_spectacular_and_without(spectacular):
    with mock.patch("finta_keys.apps.find_spec", return_value=spectacular):
        apps.get_app_config("finta_keys").ready()


def test_X1_the_security_scheme_publishes_the_pattern():
    scheme = openapi.ApiKeyScheme.__new__(openapi.ApiKeyScheme)
    definition = scheme.get_security_definition(mock.Mock(spec=AutoSchema))
    assert (definition["type"], definition["scheme"]) == ("http", "bearer")
    assert "`^finta_[0-9A-Za-z]{54}$`" in definition["description"]
