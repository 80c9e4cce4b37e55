"""What every endpoint has in common: JSON whatever is asked for, and the order in which a request is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import models
from django.http import Http404, HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts_app.api import errors
from accounts_app.api.throttling import OwnerRateThrottle
from accounts_app.models import User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey

MAX_BODY = 64 * 1024  # bytes
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class KeyRequest(Request):
    """A request that a key has authenticated."""

    user: User
    auth: ApiKey


class AlwaysJson(DefaultContentNegotiation):
    """The answer is JSON whatever ``Accept`` says; the parser is chosen as usual."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class BoundedJsonParser(JSONParser):
    """JSON that nests deeper than Python follows is a client's error too."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ParseError:
            # Python's own words would tell of Python.
            raise ParseError("The body is not valid JSON in UTF-8.") from None


class JsonView(APIView):
    """A view that answers JSON only, errors included. It asks for no key."""

    authentication_classes: Sequence[Any] = []
    permission_classes: Sequence[Any] = []
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJsonParser]
    content_negotiation_class = AlwaysJson
    # OPTIONS would describe a view; here it is a method like others that are not allowed, 404 first.
    http_method_names = ["get", "head", "post", "patch", "delete"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        # DRF's name the allowed methods in every answer. errors.py does in a 405 only, so that all 404s are the same.
        return {}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # JSON and URLs are UTF-8. A charset of Content-Type would otherwise decide how the query is read.
        # Not by the property, which reads the query at once: what is wrong with that is told when its turn comes.
        request._encoding = "utf-8"  # type: ignore[attr-defined]  # Django's own, but not public
        return super().initialize_request(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.handle


class KeyView(JsonView, GenericAPIView[Any]):
    """A view that is called with an API key.

    The checks come in the order 401, 429, 403, 404, then, in DRF's own place, 405, and 413, 415 and 400 when the body
    is read. This is not DRF's order: it looks at the method before it looks for the object, and would tell by a 405
    that a hidden account exists.
    """

    request: KeyRequest
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [OwnerRateThrottle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not self.request.user.storage_mode:
            raise errors.StorageModeRequired
        self.resolve()

    def resolve(self) -> None:
        """Find what the request is about, whatever its method. Raises ``Http404``."""

    def find(self, queryset: models.QuerySet[Any], pk: str) -> Any:
        """Return one row by a UUID that may be malformed. Raises ``Http404``."""
        # More would pass as a UUID: digits of other scripts, braces, "urn:uuid:". An account has one address.
        if not UUID.fullmatch(pk):
            raise Http404
        try:
            return queryset.get(pk=pk)
        except queryset.model.DoesNotExist:
            raise Http404 from None

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the body. Raises the errors of 413, 415 and 400."""
        if "HTTP_TRANSFER_ENCODING" in self.request.META:
            # WSGI has no way to tell where such a body ends, so Django reads none.
            raise ParseError("Send the body in one piece, with its Content-Length.")
        if _content_length(self.request) > MAX_BODY:
            raise errors.PayloadTooLarge
        if not isinstance(self.request.data, dict):
            raise ParseError("The body must be a JSON object.")
        return self.request.data


def _content_length(request: Request) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
