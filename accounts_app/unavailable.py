"""The page for what went wrong on our side."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts_app.api.errors import RETRY_AFTER


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 where the database cannot be reached, which passes, and 500 for all else: Django's ``handler500``.

    The pages are rendered without a request: whatever it would add to them may be what failed.
    """
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        page = render_to_string("500.html", {"unavailable": True})
        return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    return HttpResponse(render_to_string("500.html"), status=500)
