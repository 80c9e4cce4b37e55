"""Reports to Sentry contain no secret, pepper or digest, with the defaults of its SDK."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from django.conf import settings

pytestmark = [pytest.mark.thorough, pytest.mark.rule("K2")]


FAILURES = ["outage in a view", "outage in get_key()", "second header", "host view", "template", "model", "receiver"]
# A variable of the project itself has the header in "host view". Only redact_event() removes that.
CASES = [(redacts, failure) for redacts in ("", "1") for failure in FAILURES if redacts or failure != "host view"]


@cache
def sent(redacts):
    env = {**os.environ, "SENTRY_REDACT": redacts}
    command = [sys.executable, "-m", "tests.finta_keys.sentry_events"]
    process = subprocess.run(command, cwd=settings.BASE_DIR, env=env, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return json.loads(process.stdout)


@pytest.mark.parametrize(("redacts", "failure"), CASES)
def test_event_contains_no_secret(redacts, failure):
    (event,) = sent(redacts)["failures"][failure]
    text = json.dumps(event)
    assert "stacktrace" in text
    assert [hidden for hidden in sent(redacts)["forbidden"] if json.dumps(hidden)[1:-1] in text] == []


def test_all_failures_are_tested():
    assert sorted(sent("")["failures"]) == sorted(FAILURES)
    assert len(sent("")["forbidden"]) > 6
