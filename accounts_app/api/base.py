"""Base classes of the API views: JSON only, with checks in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from django.db import models
from django.http import Http404
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
from finta_keys import pk_lookup
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey
from finta_keys.read_only import reject_read_only

MAX_BODY = 64 * 1024  # bytes
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class KeyRequest(Request):
    """A request authenticated with a key."""

    user: User
    auth: ApiKey


class AlwaysJson(DefaultContentNegotiation):
    """Responds with JSON and ignores ``Accept``. The parser is chosen as usual."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class BoundedJsonParser(JSONParser):
    """Turns every parse error into a 400, including JSON nested too deeply for Python."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ParseError:
            # Do not expose Python's error message.
            raise ParseError("The body is not valid JSON in UTF-8.") from None


class FastJsonRenderer(JSONRenderer):
    """Renders the JSON of DRF's renderer with orjson, in an eighth of the time."""

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if data is not None:
                # orjson formats times differently from DRF.
                return _escaped(orjson.dumps(data, option=orjson.OPT_PASSTHROUGH_DATETIME))
        except TypeError:  # an integer of more than 64 bits, or a type that only DRF's encoder knows
            pass
        return super().render(data, *args, **kwargs)


def _escaped(text: bytes) -> bytes:
    """Escape the two characters that are line ends in JavaScript but not in JSON, as DRF does."""
    return text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


class JsonView(APIView):
    """A view that responds with JSON only, including errors. No key required."""

    authentication_classes: Sequence[Any] = []
    permission_classes: Sequence[Any] = []
    renderer_classes = [FastJsonRenderer]
    parser_classes = [BoundedJsonParser]
    content_negotiation_class = AlwaysJson
    # Without OPTIONS, which would describe the view.
    http_method_names = ["get", "head", "post", "patch", "delete"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        # DRF adds Allow to every response, which would make 404s differ. errors.py adds it to a
        # 405.
        return {}

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.exception_handler


class KeyView(JsonView, GenericAPIView[Any]):
    """A view that requires an API key.

    The order of checks is 401, 429, 403 for Storage Mode, 403 for a read-only key, 404, 405, and
    then 413, 415 and 400 when the body is read. DRF would check the method before it looks up the
    object, so a 405 would reveal a hidden account.
    """

    request: KeyRequest
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [OwnerRateThrottle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not self.request.user.storage_mode:
            raise errors.StorageModeRequired
        reject_read_only(self, request)
        self.resolve()

    def resolve(self) -> None:
        """Look up the object in the path, for every method. Raise ``Http404`` if there is none."""

    def find(self, queryset: models.QuerySet[Any], pk: str) -> Any:
        """Return the row with this id.

        Raise ``Http404`` if there is none or the id is malformed.
        """
        self.require_uuid(pk)
        try:
            return pk_lookup.get(queryset, pk)
        except queryset.model.DoesNotExist:
            raise Http404 from None

    def require_uuid(self, pk: str) -> None:
        """Raise ``Http404`` if an id is malformed.

        Django also accepts braces, "urn:uuid:" and digits of other scripts. An account has only one
        URL.
        """
        if not UUID.fullmatch(pk):
            raise Http404

    def body(self) -> dict[str, Any]:
        """Return the JSON object in the body. Raise the errors for 413, 415 and 400."""
        if "HTTP_TRANSFER_ENCODING" in self.request.META:
            # config.chunked removes this header if the server supports chunked bodies.
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
