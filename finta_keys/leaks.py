"""Find secrets in files, logs and repositories.

The checksum distinguishes a secret from a look-alike, so the text around it does not matter. A
secret is found right after the ``n`` of an escaped line break, or after the ``20`` of
``Bearer%20finta_…``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from finta_keys import conf, secret
from finta_keys.models import ApiKey, RetiredSecret

CHUNK = 1024 * 1024  # bytes that are searched at a time
DIGESTS_PER_QUERY = 500


def find(stream: BinaryIO) -> Iterator[tuple[int, secret.Secret]]:
    """Yield the line number and the text of each string with the shape of a secret. The checksum is
    not verified.

    Memory use is bounded, however long the lines are. Raise ``OSError`` if the stream cannot be
    read to its end.
    """
    shape = re.compile(secret.pattern(conf.prefix()).encode())
    length = len(conf.prefix()) + secret.RANDOM_LENGTH + secret.CHECKSUM_LENGTH
    line, kept = 1, b""  # the number of the line at the start of the buffer, and the end of the chunk before
    while chunk := stream.read(CHUNK):
        buffer = kept + chunk
        lines = counted = 0
        match = shape.search(buffer)
        while match:
            lines += buffer.count(b"\n", counted, match.start())
            counted = match.start()
            yield line + lines, secret.Secret(match[0].decode("ascii"))
            # Continue at the next byte: the end of a look-alike may be the start of a secret.
            match = shape.search(buffer, match.start() + 1)
        searched = max(0, len(buffer) - length + 1)  # The rest is too short for a match.
        line += buffer.count(b"\n", 0, searched)
        kept = buffer[searched:]


def files(path: str, on_error: Callable[[str, OSError], None]) -> Iterator[str]:
    """Yield ``path``; or, if it is a folder, all regular files below it, sorted by name.

    Links in folders are not followed. Pipes, sockets and devices are skipped. If a folder cannot be
    read, ``on_error`` is called with its path and the error.
    """
    if not os.path.isdir(path):
        yield path
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        subfolders = []
        try:
            with os.scandir(folder) as iterator:
                entries = sorted(iterator, key=lambda entry: entry.name)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    subfolders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path
        except OSError as error:
            on_error(folder, error)
        folders += reversed(subfolders)


def keys_of(secrets: Iterable[secret.Secret]) -> Iterator[tuple[secret.Secret, ApiKey]]:
    """Yield each secret that a key has now, with the key and its owner, active or not."""
    return _rows_of(secrets, ApiKey.objects.select_related("owner").order_by())


def retired(secrets: Iterable[secret.Secret]) -> Iterator[tuple[secret.Secret, RetiredSecret]]:
    """Yield each secret that a key had before, with its retired row."""
    return _rows_of(secrets, RetiredSecret.objects.order_by())


def _rows_of(secrets: Iterable[secret.Secret], rows: Any) -> Iterator[tuple[secret.Secret, Any]]:
    """Yield each secret whose digest is in these rows, with its row.

    Uses one query for several hundred secrets, under all peppers.
    """
    peppers = conf.peppers()
    secrets = list(secrets)
    size = max(1, DIGESTS_PER_QUERY // len(peppers))
    for start in range(0, len(secrets), size):
        batch = secrets[start : start + size]
        digests = {secret.digest(presented, pepper): presented for presented in batch for pepper in peppers}
        for row in rows.filter(digest__in=list(digests)):
            yield digests[bytes(row.digest)], row
