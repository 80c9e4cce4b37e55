"""Read bodies with ``Transfer-Encoding: chunked``."""

from io import BytesIO
from typing import Any

from django.conf import settings


def read_chunked_body(environ: dict[str, Any]) -> None:
    """Replace a chunked body with a plain one, which has a ``Content-Length``.

    Django reads no body without ``Content-Length``. Servers that decode the chunks and mark the end
    of the body set ``wsgi.input_terminated``. At most one byte more than Django's limit is read,
    and the views reject the body for its length. Files count too, because the site accepts none.
    """
    if environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower() != "chunked":
        return
    if not environ.get("wsgi.input_terminated"):
        return
    del environ["HTTP_TRANSFER_ENCODING"]
    try:
        body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    except OSError:  # The chunks are invalid, or the client hung up.
        environ |= {"CONTENT_LENGTH": "1", "wsgi.input": _BrokenStream()}
    else:
        environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}


class _BrokenStream:
    """Fails when a view reads the body, so that the view responds with its own 400."""

    def read(self, *args: Any) -> bytes:
        raise OSError("The body could not be read.")

    readline = read
