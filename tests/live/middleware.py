"""What only the tests add to the site."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

WORKER = "X-Worker"


def name_worker(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tell in each answer which process it came from."""

    def named(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response[WORKER] = str(os.getpid())
        return response

    return named
