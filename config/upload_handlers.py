"""Discard uploaded files. No page accepts any."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class DiscardFiles(FileUploadHandler):
    """Discards files and applies Django's limit on the body to them.

    Django's own handlers store files of any size, also for anonymous requests:
    ``DATA_UPLOAD_MAX_MEMORY_SIZE`` does not count files.
    """

    def handle_raw_input(self, input_data: Any, META: dict[str, Any], content_length: int, *args: Any) -> None:
        """Raise ``RequestDataTooBig`` before reading a body that is over the limit."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is not None and content_length > limit:
            raise RequestDataTooBig("The body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None
