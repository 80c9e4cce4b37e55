"""What ``check --deploy`` says of the settings of production."""

import re
from secrets import token_hex, token_urlsafe

import pytest
from django.core.checks import run_checks

from accounts_app.checks import check_rate_limits, check_trusted_proxies
from tests.test_settings import start

HOST = {"ALLOWED_HOSTS": "keys.example.com"}


def check(tmp_path, *options, **environment):
    secrets = {"SECRET_KEY": token_urlsafe(50), "API_KEY_PEPPERS": token_hex(32)}
    return start(tmp_path, ["manage.py", "check", "--deploy", *options], **secrets, **HOST, **environment)


@pytest.mark.parametrize("count", ["0", "1"])
def test_it_finds_nothing_where_all_is_set(tmp_path, count):
    result = check(tmp_path, "--fail-level", "WARNING", DEBUG="false", TRUSTED_PROXY_COUNT=count)
    assert (result.returncode, result.stderr) == (0, "")
    assert "no issues" in result.stdout


@pytest.mark.parametrize("unset", [{}, {"TRUSTED_PROXY_COUNT": ""}])
def test_it_warns_of_an_unset_number_of_proxies_and_of_nothing_else(tmp_path, unset):
    result = check(tmp_path, **unset)
    assert set(re.findall(r"\w+\.[WE]\d+", result.stderr)) == {"accounts_app.W003"}
    assert "0 where clients connect directly, 1 behind one nginx or Caddy" in " ".join(result.stderr.split())


@pytest.mark.parametrize("count", [0, 1, 2])
def test_zero_proxies_is_a_decision(settings, count):
    settings.TRUSTED_PROXY_COUNT = count
    assert check_trusted_proxies(None) == []


@pytest.mark.django_db  # Checks of models ask the database what it can do.
def test_who_develops_is_not_warned(settings):
    settings.TRUSTED_PROXY_COUNT = None
    ids = {deploy: [each.id for each in run_checks(include_deployment_checks=deploy)] for deploy in (False, True)}
    assert "accounts_app.W003" not in ids[False]
    assert "accounts_app.W003" in ids[True]


@pytest.mark.parametrize("wrong", ["-1", "one", "1.5", "127.0.0.1", "٣", "9" * 5000])
def test_a_number_of_proxies_that_is_none_stops_the_start_and_says_what_to_write(tmp_path, wrong):
    result = check(tmp_path, TRUSTED_PROXY_COUNT=wrong)
    assert result.returncode != 0
    assert "TRUSTED_PROXY_COUNT is " in result.stderr
    assert "0 where clients connect directly, 1 behind one nginx or Caddy" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["SIGN_IN_LIMIT", "SIGN_IN_SOURCE_LIMIT", "PASSWORD_RESET_SOURCE_LIMIT"])
def test_a_list_of_rates_is_good_and_one_with_a_bad_rate_is_not(settings, name):
    setattr(settings, name, "5/minute; 7/5 minutes;9/15 minutes")
    assert check_rate_limits(None) == []
    setattr(settings, name, "5/minute; a lot")
    assert [each.id for each in check_rate_limits(None)] == ["accounts_app.E001"]
