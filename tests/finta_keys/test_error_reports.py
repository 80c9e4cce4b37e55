"""Django's own error reports do not show a presented secret."""

from functools import partial

import pytest
from django.db import DatabaseError
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey
from tests.finta_keys import urls_example

pytestmark = pytest.mark.rule("K2")


class BrokenAuthentication(ApiKeyAuthentication):
    keyword = None  # a mistake of the project


def report(request, error):
    """Return the error report with Django's own filter, as in a project without the site's filter."""
    request.exception_reporter_filter = SafeExceptionReporterFilter()
    reporter = ExceptionReporter(request, error.type, error.value, error.tb)
    return reporter.get_traceback_text() + reporter.get_traceback_html()


@pytest.fixture
def failing_query(monkeypatch):
    def fail(*args):
        raise DatabaseError

    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.fetch", fail)


def test_report_of_unreadable_header_hides_secret(restricted):
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    with pytest.raises(AttributeError) as error:
        BrokenAuthentication().presented(Request(request))
    text = report(request, error)
    assert "in presented" in text
    assert restricted.secret[10:-4] not in text


def test_report_of_failed_view_hides_secret(restricted, failing_query):
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    with pytest.raises(DatabaseError) as error:
        urls_example.Accounts.as_view()(request)
    text = report(request, error)
    assert "in authenticate" in text
    assert restricted.secret[10:-4] not in text


def test_report_of_failed_manager_hides_secret(restricted, failing_query):
    """For projects that call ``ApiKey.objects.authenticate()`` themselves."""
    presented = restricted.secret[:]  # a plain string, as from a header
    call = partial(ApiKey.objects.authenticate, presented)
    del presented
    with pytest.raises(DatabaseError) as error:
        call()
    reporter = ExceptionReporter(None, error.type, error.value, error.tb.tb_next)
    reporter.filter = SafeExceptionReporterFilter()
    frames = reporter.get_traceback_frames()
    values = [repr(value) for frame in frames for _, value in frame["vars"]]
    assert "authenticate" in [frame["function"] for frame in frames]
    assert not [value for value in values if restricted.secret[10:-4] in value]
