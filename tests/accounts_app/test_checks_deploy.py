"""``check --deploy`` with production settings."""

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


@pytest.mark.slow
@pytest.mark.parametrize("count", ["0", "1"])
def test_complete_settings_pass(tmp_path, count):
    result = check(tmp_path, "--fail-level", "WARNING", DEBUG="false", TRUSTED_PROXY_COUNT=count)
    assert (result.returncode, result.stderr) == (0, "")
    assert "no issues" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("unset", [{}, {"TRUSTED_PROXY_COUNT": ""}])
def test_unset_proxy_count_is_the_only_warning(tmp_path, unset):
    result = check(tmp_path, **unset)
    assert set(re.findall(r"\w+\.[WE]\d+", result.stderr)) == {"accounts_app.W003"}
    assert "0 if clients connect directly, 1 behind one nginx or Caddy" in " ".join(result.stderr.split())


@pytest.mark.parametrize("count", [0, 1, 2])
def test_zero_proxies_pass(settings, count):
    settings.TRUSTED_PROXY_COUNT = count
    assert check_trusted_proxies(None) == []


@pytest.mark.django_db  # Model checks query the database's features.
def test_proxy_check_needs_deploy(settings):
    settings.TRUSTED_PROXY_COUNT = None
    ids = {deploy: [message.id for message in run_checks(include_deployment_checks=deploy)] for deploy in (False, True)}
    assert "accounts_app.W003" not in ids[False]
    assert "accounts_app.W003" in ids[True]


@pytest.mark.thorough
@pytest.mark.parametrize("wrong", ["-1", "one", "1.5", "127.0.0.1", "٣", "9" * 5000])
def test_invalid_proxy_count_stops_start(tmp_path, wrong):
    result = check(tmp_path, TRUSTED_PROXY_COUNT=wrong)
    assert result.returncode != 0
    assert "TRUSTED_PROXY_COUNT must be the number" in result.stderr
    assert "0 if clients connect directly, 1 behind one nginx or Caddy" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["SIGN_IN_LIMIT", "SIGN_IN_SOURCE_LIMIT", "PASSWORD_RESET_SOURCE_LIMIT"])
def test_every_rate_of_a_list_is_checked(settings, name):
    setattr(settings, name, "5/minute; 7/5 minutes;9/15 minutes")
    assert check_rate_limits(None) == []
    setattr(settings, name, "5/minute; a lot")
    assert [message.id for message in check_rate_limits(None)] == ["accounts_app.E001"]
