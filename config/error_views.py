"""The error page for failures on our side."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts_app.api.errors import RETRY_AFTER


def server_error(request: HttpRequest) -> HttpResponse:
    """Return 503 if the database is unavailable, otherwise 500. This is the ``handler500`` of the
    site.

    Rendered without the request, because a context processor may be the part that failed.
    """
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        page = render_to_string("500.html", {"unavailable": True})
        return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    return HttpResponse(render_to_string("500.html"), status=500)
