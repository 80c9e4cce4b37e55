"""Middleware for tests of the running site."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

WORKER = "X-Worker"


def add_worker_header(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add the id of the process to each response."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response[WORKER] = str(os.getpid())
        return response

    return middleware
