"""Discard uploaded files and limit the parts of multipart bodies. No page of the site uses
either."""

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser

# Django parses parts slowly, and counts only those with a name: 20,000 empty ones took 1.5 seconds.
MAX_PARTS = 2_000


class DiscardFiles(FileUploadHandler):
    """Discards files and applies Django's limit on the body to them.

    Django's own handlers store files of any size, also for anonymous requests:
    ``DATA_UPLOAD_MAX_MEMORY_SIZE`` does not count files.
    """

    def __init__(self, request: HttpRequest | None = None, is_counted: bool = False) -> None:
        super().__init__(request)
        self.is_counted = is_counted

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: str | None = None
    ) -> Any:
        """Parse a body with a limited number of parts.

        Raise ``RequestDataTooBig`` before reading a body that is over the limit, and
        ``TooManyFieldsSent`` before parsing one with too many parts.
        """
        if self.is_counted:
            return None
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is not None and content_length > limit:
            raise RequestDataTooBig("The body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE.")
        body = input_data.read(content_length)
        if body.count(b"--" + boundary) > MAX_PARTS:
            raise TooManyFieldsSent("The multipart body has too many parts.")
        handlers = [DiscardFiles(self.request, is_counted=True)]
        return MultiPartParser(META, BytesIO(body), handlers, encoding).parse()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None
