"""Discard uploaded files and reject large multipart bodies. No page uses either."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

# Django parses multipart bodies slowly: 20,000 empty parts took 1.5 seconds, also without sign-in. The
# forms of the site are urlencoded, so they keep Django's limit for those.
MULTIPART_MAX_SIZE = 64 * 1024  # bytes


class DiscardFiles(FileUploadHandler):
    """Discards files, which Django's own handlers would store in any size, also for anonymous
    requests."""

    def handle_raw_input(self, input_data: Any, META: dict[str, Any], content_length: int, *args: Any) -> None:
        """Raise ``RequestDataTooBig`` before reading a body that is over the limit."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if content_length > min(MULTIPART_MAX_SIZE, MULTIPART_MAX_SIZE if limit is None else limit):
            raise RequestDataTooBig("The multipart body is too large.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None
