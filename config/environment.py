"""Read settings from environment variables, from files, and from ``.env``.

An invalid value raises ``ImproperlyConfigured`` with one sentence. It names the variable and never
contains the value, which may be a secret.

For a variable ``NAME``, ``NAME_FILE`` can name a file that contains the value, as with container
secrets. Whitespace around a value and a byte order mark are ignored. An empty value counts as
unset."""

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import environ
import limits
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

ON = ("true", "1", "yes", "y", "on", "ok")
OFF = ("false", "0", "no", "n", "off")

MAIL_TIMEOUT = 10  # seconds

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_NAME = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_SERVER = rf"(?:{_NAME}|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(r"(?P<scheme>[a-z0-9+]+)://(?:(?P<user>[^:/]*)(?::(?P<password>.*))?@)?(?P<rest>[^@]*)")
_STORAGE = re.compile(
    rf"memory://|rediss?://(?:[^\s:@/?#]*(?::[^\s@/?#]*)?@)?{_SERVER}(?::[0-9]{{1,5}})?/?[0-9]*(?:\?[\w=&.-]*)?"
    r"|redis\+(?:unix|sentinel)://[^\s#]+",
    re.ASCII,
)
_MAIL_SERVER = re.compile(rf"(?P<host>{_SERVER})(?::(?P<port>[0-9]{{1,5}}))?/?")
_MAIL_ENCRYPTION: dict[str, tuple[int, dict[str, Any]]] = {
    "smtp": (25, {}),
    "smtp+tls": (587, {"EMAIL_USE_TLS": True}),
    "smtps": (465, {"EMAIL_USE_SSL": True}),
    "smtp+ssl": (465, {"EMAIL_USE_SSL": True}),
}
_MAIL_BACKENDS = {"consolemail://": "console", "memorymail://": "locmem", "dummymail://": "dummy"}


def load_dotenv(path: Path) -> None:
    """Add the variables in a ``.env`` file to the environment.

    Variables that are set already win.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImproperlyConfigured(f"{path.name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ImproperlyConfigured(f"{path.name} is not UTF-8. Save it as UTF-8.") from None
    lines = enumerate(text.split("\n"), 1)
    variables = dict(
        _parse_line(line.strip(), f"Line {number} of {path.name}")
        for number, line in lines
        if line.strip() and not line.strip().startswith("#")
    )
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _parse_line(line: str, place: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if not match or "\0" in line:
        raise ImproperlyConfigured(f"{place} is not NAME=value.")
    name, value = match.groups()
    if value.startswith(("'", '"')):
        mark = value[0]
        if len(value) < 2 or not value.endswith(mark):
            raise ImproperlyConfigured(f"{place}: the value of {name} begins with a quote that does not end it.")
        value = value[1:-1]
        return name, re.sub(r'\\(["\\$])', r"\1", value) if mark == '"' else value
    if re.search(r"\s#", value):
        raise ImproperlyConfigured(
            f"{place}: the value of {name} contains a blank and a #. Quote the value, "
            "or move the comment to a line of its own."
        )
    return name, value


def text(name: str, default: str = "") -> str:
    """Return the value of ``NAME``, or of the file in ``NAME_FILE``, or the default."""
    value, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "").strip()
    if path:
        if value.strip():
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set. Remove one of them.")
        value = _read_file(f"{name}_FILE", path)
    value = value.strip().strip("\ufeff").strip()
    if any(ord(character) < 32 or "\x7f" <= character <= "\x9f" for character in value):
        raise ImproperlyConfigured(f"{name} contains a line break or another control character.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ImproperlyConfigured(f"{name} is not UTF-8.")
    return value or default


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ImproperlyConfigured(f"{name} names a file that cannot be read: {error.strerror}.") from None
    except ValueError:  # not UTF-8, or a NUL in the path
        raise ImproperlyConfigured(f"{name} names a file that is not UTF-8.") from None


def words(name: str) -> list[str]:
    """Return the values of a comma-separated list."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def flag(name: str) -> bool:
    """Return True if a switch is on. It is off by default."""
    return _switch(name, text(name, "false"))


def _switch(name: str, value: str) -> bool:
    if value.lower() not in ON + OFF:
        raise ImproperlyConfigured(f"{name} must be true or false.")
    return value.lower() in ON


def choice(name: str, choices: tuple[str, ...], default: str) -> str:
    value = text(name, default).upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}.")
    return value


def proxy_count(name: str) -> int | None:
    value = text(name)
    if value and not re.fullmatch("[0-9]{1,2}", value):
        raise ImproperlyConfigured(
            f"{name} must be the number of your own proxies that each request passes through: "
            "0 if clients connect directly, 1 behind one nginx or Caddy."
        )
    return int(value) if value else None


def number(name: str, default: int) -> int:
    value = text(name, str(default))
    if not re.fullmatch("[1-9][0-9]{0,6}", value):
        raise ImproperlyConfigured(f"{name} must be a whole number from 1 to 9999999.")
    return int(value)


def optional_number(name: str) -> int | None:
    return number(name, 1) if text(name) else None


def rates(name: str, default: str) -> str:
    value = text(name, default)
    try:
        limits.parse_many(value)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} must be one or more rates, such as 200/minute or 5/minute; 9/15 minutes."
        ) from None
    return value


def storage(name: str, default: str) -> str:
    value = text(name, default)
    if not _STORAGE.fullmatch(value):
        raise ImproperlyConfigured(
            f"{name} must be memory:// or a URL such as redis://:password@host:6379/0; not a Redis Cluster. "
            "Write #, ?, @ and / in the password as %23, %3F, %40 and %2F."
        )
    return value


def peppers(name: str) -> list[str]:
    values = words(name)
    if not values or not all(re.fullmatch("[0-9A-Fa-f]{64}", value) for value in values):
        raise ImproperlyConfigured(
            f"{name} must be peppers of 64 hex digits each, separated by commas. "
            "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return values


def hosts(name: str) -> list[str]:
    values = words(name)
    if not all(re.fullmatch(rf"\*|\.?{_SERVER}", value) for value in values):
        raise ImproperlyConfigured(
            f"{name} must be host names separated by commas, without https:// and port, such as keys.example.com."
        )
    return values


def origins(name: str) -> list[str]:
    values = words(name)
    if not all(re.fullmatch(rf"https?://(?:\*\.)?{_SERVER}(?::[0-9]+)?", value) for value in values):
        raise ImproperlyConfigured(f"{name} must be origins separated by commas, such as https://keys.example.com.")
    return values


def emails(name: str) -> list[str]:
    values = words(name)
    for value in values:
        _require_email(value, f"{name} must be e-mail addresses separated by commas, such as ops@example.com.")
    return values


def sender(name: str, default: str) -> str:
    value = text(name, default)
    # parseaddr() would ignore text after the address.
    match = re.fullmatch(r"[^<>]*<([^<>]*)>|([^<>]*)", value)
    _require_email(
        (match[1] or match[2]) if match else "",
        f"{name} must be an e-mail address, such as Finta <keys@example.com> or keys@example.com.",
    )
    return value


def _require_email(value: str, message: str) -> None:
    try:
        validate_email(value)
    except ValidationError:
        raise ImproperlyConfigured(message) from None


def database(name: str) -> dict[str, Any]:
    """Return the settings of a database URL. The password may contain any character but ``?``."""

    def reject() -> NoReturn:
        raise ImproperlyConfigured(
            f"{name} must be a URL such as postgres://user:password@host/name or sqlite:////absolute/path. "
            "Write ?, # and % in the password as %3F, %23 and %25."
        )

    match = _URL.fullmatch(text(name)) or reject()
    parts = match.groupdict()
    # Without this, urllib would cut the URL at a # or ?, and use the rest in silence.
    if any(character in parts["rest"] for character in "#\\ ") or "?" in f"{parts['user']}{parts['password']}":
        reject()
    if parts["scheme"] == "sqlite" and not re.fullmatch(r"/.+|:memory:", parts["rest"]):
        reject()
    userinfo = _quoted_userinfo(parts["user"], parts["password"])
    config = _silently(environ.Env.db_url_config, f"{parts['scheme']}://{userinfo}{parts['rest']}", reject)
    if "." not in config.get("ENGINE", ""):  # django-environ returns unknown schemes as the engine.
        reject()
    options = config.get("OPTIONS", {})
    if "server_side_binding" in options:  # Django ignores it in silence unless it is True.
        options["server_side_binding"] = _switch(f"{name}: server_side_binding", str(options["server_side_binding"]))
    return config


def _quoted_userinfo(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    parts = [user] if password is None else [user, password]
    return ":".join(quote(unquote(part), safe="") for part in parts) + "@"


def _silently(parse: Callable[[str], dict[str, Any]], url: str, reject: Callable[[], NoReturn]) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):  # They quote the password.
            return parse(url)
    except (ImproperlyConfigured, ValueError):
        reject()


def mail(name: str, default: str) -> dict[str, Any]:
    """Return the mail settings of a URL. The password may contain any character."""

    def reject() -> NoReturn:
        raise ImproperlyConfigured(
            f"{name} must be a URL such as smtp+tls://user:password@host:587 (STARTTLS) or smtps://user:password@host."
        )

    url = text(name, default)
    if url in _MAIL_BACKENDS:
        return {"EMAIL_BACKEND": f"django.core.mail.backends.{_MAIL_BACKENDS[url]}.EmailBackend"}
    match = _URL.fullmatch(url) or reject()
    server = _MAIL_SERVER.fullmatch(match["rest"]) or reject()
    port, encryption = _MAIL_ENCRYPTION.get(match["scheme"]) or reject()
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": server["host"].strip("[]"),
        "EMAIL_PORT": int(server["port"] or port),
        "EMAIL_TIMEOUT": MAIL_TIMEOUT,
        "EMAIL_HOST_USER": unquote(match["user"] or ""),
        "EMAIL_HOST_PASSWORD": unquote(match["password"] or ""),
        **encryption,
    }


load_dotenv(Path(__file__).resolve().parent.parent / ".env")
