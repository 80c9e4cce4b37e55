"""How this app starts, with and without drf-spectacular beside it."""

from unittest import mock

import pytest
from django.apps import apps
from django.core.signals import request_finished, request_started
from drf_spectacular.openapi import AutoSchema

from finta_keys import openapi, usage


@pytest.mark.parametrize("spectacular", [object(), None], ids=["installed", "absent"])
def test_the_app_starts_once_however_often_it_is_told_to(spectacular):
    before = len(request_started.receivers), len(request_finished.receivers)
    with mock.patch("finta_keys.apps.find_spec", return_value=spectacular):
        apps.get_app_config("finta_keys").ready()
    assert (len(request_started.receivers), len(request_finished.receivers)) == before


def test_T3_what_a_request_noted_is_dropped_at_its_start_and_written_at_its_end():
    assert usage.forget in request_started._live_receivers(None)[0]
    assert usage.record_noted in request_finished._live_receivers(None)[0]


def test_X1_the_security_scheme_publishes_the_pattern():
    scheme = openapi.ApiKeyScheme.__new__(openapi.ApiKeyScheme)
    definition = scheme.get_security_definition(mock.Mock(spec=AutoSchema))
    assert (definition["type"], definition["scheme"]) == ("http", "bearer")
    assert "`^finta_[0-9A-Za-z]{54}$`" in definition["description"]
