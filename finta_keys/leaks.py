"""Finding secrets where they do not belong: in files, logs and repositories.

The checksum tells a secret from a look-alike, so what stands around it does not matter: it is found right behind the
``n`` of an escaped line break and the ``20`` of ``Bearer%20finta_…``, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, secret
from finta_keys.models import ApiKey

CHUNK = 1024 * 1024  # bytes that are searched at a time
DIGESTS_PER_QUERY = 500

_TAIL = secret.RANDOM_LENGTH + secret.CHECKSUM_LENGTH


def find(stream: BinaryIO) -> Iterator[tuple[int, secret.Secret]]:
    """Yield whatever has the shape of a secret, with the number of its line. The checksum is for the caller to see to.

    What is held of the stream is bounded, however long its lines are. Lines end with a line feed; those of UTF-16 text
    are counted by its low bytes. Raises ``OSError`` where it cannot be read to its end.
    """
    shapes, longest = _shapes(conf.prefix()), 2 * (len(conf.prefix()) + _TAIL) - 1  # bytes of one in UTF-16
    line, kept = 1, b""  # The number of the line that begins what is held, or goes on there.
    while chunk := stream.read(CHUNK):
        buffer = kept + chunk
        lines = counted = 0
        for match in sorted(_matches(shapes, buffer), key=lambda match: match.start()):
            lines += buffer.count(b"\n", counted, match.start())
            counted = match.start()
            if match.end() > len(kept):  # Else it was found with the chunk before.
                yield line + lines, secret.Secret(match[0].replace(b"\0", b"").decode("ascii"))
        done = max(0, len(buffer) - longest + 1)  # What is left is too short for one that was not found.
        line += buffer.count(b"\n", 0, done)
        kept = buffer[done:]


def _shapes(prefix: str) -> list[re.Pattern[bytes]]:
    # In UTF-16 of either byte order there is a zero byte between any two characters.
    wide = "\0".join(prefix) + rf"(?:\0[0-9A-Za-z]){{{_TAIL}}}"
    return [re.compile(secret.pattern(prefix).encode()), re.compile(wide.encode())]


def _matches(shapes: Iterable[re.Pattern[bytes]], buffer: bytes) -> Iterator[re.Match[bytes]]:
    for shape in shapes:
        match = shape.search(buffer)
        while match:
            yield match
            # From the next byte on: the end of a look-alike may be the beginning of a secret.
            match = shape.search(buffer, match.start() + 1)


def files(path: str, failed: Callable[[str, OSError], None]) -> Iterator[str]:
    """Yield ``path``, or where it is a folder, the regular files in it and below it, in order of their names.

    In folders links are not followed, and pipes, sockets and devices are left out. ``failed`` is called with a folder
    that cannot be read and the reason.
    """
    if not os.path.isdir(path):
        yield path
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        inner = []
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path
        except OSError as error:
            failed(folder, error)
        folders += reversed(inner)


@sensitive_variables()
def keys_of(secrets: Iterable[secret.Secret]) -> Iterator[tuple[secret.Secret, ApiKey]]:
    """Yield each secret that a key has now, with the key, its owner fetched with it: whether that is active or not.

    One query for some hundred secrets, under all peppers.
    """
    peppers = conf.peppers()
    secrets = list(secrets)
    size = max(1, DIGESTS_PER_QUERY // len(peppers))
    keys = ApiKey.objects.select_related("owner").order_by()
    for start in range(0, len(secrets), size):
        digests = {secret.digest(each, pepper): each for each in secrets[start : start + size] for pepper in peppers}
        for key in keys.filter(digest__in=list(digests)):
            yield digests[bytes(key.digest)], key


def without_secrets(text: str) -> str:
    """Return ``text`` with the hints of secrets in place of them: a file may be named after one."""
    return re.sub(secret.pattern(conf.prefix()), lambda match: secret.hint(match[0]), text)
