"""Checks of the settings, the files and the address of the site."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import checks
from django.middleware.csrf import CSRF_SECRET_LENGTH
from django.utils.crypto import get_random_string

from accounts_app.doctor import probe
from accounts_app.doctor.problems import Problem

TIMEOUT = 10  # seconds
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", ".localhost"}
# Reported by the checks of doctor, without the value of a variable.
REPORTED_HERE = {"accounts_app.W002", "accounts_app.W003", "mail.E001", "security.W018", "security.W020"}
# Django's own hint for this id refers to a setting, not to the environment.
REMEDIES = {
    "security.W009": "Set SECRET_KEY to what this prints: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
}


def check_settings() -> Iterator[Problem]:
    for message in checks.run_checks(include_deployment_checks=not settings.DEBUG):
        if message.level >= checks.WARNING and not message.is_silenced() and message.id not in REPORTED_HERE:
            yield Problem(f"{message.id}: {message.msg}", _remedy(message))
    hosts = {*settings.ALLOWED_HOSTS}
    if settings.DEBUG and (hosts - LOCAL_HOSTS or settings.TRUSTED_PROXY_COUNT):
        yield Problem(
            "DEBUG is on, and the site has a public name or a proxy: error pages show code, and cookies need no TLS.",
            "Remove DEBUG from the environment and .env, and restart.",
        )
    if not settings.DEBUG and not hosts:
        yield Problem(
            "ALLOWED_HOSTS is not set, so every page responds with 400.", "Set it to the host name of the site."
        )
    if "*" in hosts:
        yield Problem(
            "ALLOWED_HOSTS allows any host name, so mails with links can name the host of an attacker.",
            "Set it to the host names of the site.",
        )
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not settings.DEBUG and origin.startswith("http://"):
            yield Problem(
                "CSRF_TRUSTED_ORIGINS has an origin without TLS, so a changed page of it could send forms.",
                "Use https://, or remove it: with TRUSTED_PROXY_COUNT it is not needed.",
            )
    for pepper in settings.FINTA_KEYS_PEPPERS:
        if len(set(bytes.fromhex(pepper))) < 8:
            yield Problem(
                "A pepper is a pattern, not random: its digests can be computed by anyone.",
                "Put a random one in front of it: docs/operations.md, Rotate a pepper.",
            )
    if len(set(settings.FINTA_KEYS_PEPPERS)) < len(settings.FINTA_KEYS_PEPPERS):
        yield Problem("API_KEY_PEPPERS has a pepper twice.", "Remove the second.")


def _remedy(message: checks.CheckMessage) -> str:
    return REMEDIES.get(message.id or "") or message.hint or "See the reference of Django's checks."


def check_proxies() -> Iterator[Problem]:
    if settings.DEBUG:
        return
    if settings.TRUSTED_PROXY_COUNT is None:
        yield Problem(
            "TRUSTED_PROXY_COUNT is not set: behind a proxy, all clients count as one and TLS is not recognized.",
            "Set it to the number of your proxies in front of the site, 0 if clients connect directly.",
        )
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXY_COUNT:
        yield Problem(
            "SECURE_SSL_REDIRECT is on without a trusted proxy: behind a proxy that ends TLS, pages redirect forever.",
            "Set TRUSTED_PROXY_COUNT, or remove SECURE_SSL_REDIRECT.",
        )


def check_files() -> Iterator[Problem]:
    env_file = settings.BASE_DIR / ".env"
    if env_file.exists() and env_file.stat().st_mode & 0o077:
        yield Problem("Other users of this machine can read or change .env, which has secrets.", "chmod 600 .env")
    if settings.DEBUG:
        return
    remedy = "Run manage.py collectstatic --no-input, and restart."
    if not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
        yield Problem("The static files are not collected, so pages respond with 500.", remedy)
    elif not _static_files_are_current():
        yield Problem("The collected static files are those of another version.", remedy)
    if packages := _differing_packages():
        yield Problem(
            f"Installed packages differ from requirements.txt: {', '.join(packages)}.",
            "Remove .venv/site, run make install, and restart.",
        )


def _static_files_are_current() -> bool:
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            collected = Path(settings.STATIC_ROOT, path)
            if not collected.exists() or Path(storage.path(path)).read_bytes() != collected.read_bytes():
                return False
    return True


def _differing_packages() -> list[str]:
    """Return the packages whose version differs from the one locked for every Python."""
    lock = settings.BASE_DIR / "requirements.txt"
    if not lock.exists():
        return []
    installed: dict[str, str] = {}
    for distribution in metadata.distributions():
        installed.setdefault(re.sub(r"[-_.]+", "-", distribution.name).lower(), distribution.version)
    locked = re.findall(r"^([\w.-]+)==(\S+) \\$", lock.read_text(), re.MULTILINE)
    return [name for name, version in locked if installed.get(name) != version]


def check_address(url: str) -> Iterator[Problem]:
    """Send requests from outside, through the proxies."""
    host = urlsplit(url).netloc
    headers = _head("https", host, "/login")
    if headers is None:
        yield Problem(
            "The address does not respond over HTTPS, or its certificate is not valid.",
            "Check the proxy, its certificate, and that the site runs.",
        )
        return
    if headers["status"] == "400":
        yield Problem(
            "The site rejects the host name with 400.",
            "Add it to ALLOWED_HOSTS, and let every proxy pass Host on.",
        )
    elif headers["status"] not in ("200", "302"):
        yield Problem(f"The sign-in page responds with {headers['status']}.", "Read the log of the proxy and the site.")
    elif "strict-transport-security" not in headers:
        yield Problem(
            "The site does not know that the request came over TLS, so sign-in fails.",
            "Set TRUSTED_PROXY_COUNT, and let the outermost proxy set X-Forwarded-Proto.",
        )
    elif (_head("https", host, "/logout", _headers_of_form(host), "POST") or {}).get("status") == "403":
        yield Problem(
            "The site rejects its own forms with 403, because Host is not the address in the browser.",
            "Let every proxy pass Host on with its port. If one cannot, add the address to CSRF_TRUSTED_ORIGINS.",
        )
    yield from _check_probe(_head("https", host, "/v2/health", probe.headers()))
    plain = _head("http", host, "/login", {"X-Forwarded-Proto": "https"})
    if plain and "strict-transport-security" in plain:
        yield Problem(
            "The proxy passes X-Forwarded-Proto of clients on.", "Let the outermost proxy overwrite that header."
        )
    api = _head("http", host, "/v2/health")
    if api and api["status"].startswith(("2", "3")):
        yield Problem(
            "The API responds without TLS, or redirects: a client has sent its secret in clear, and no one notices.",
            "Let the proxy respond to /v2 on port 80 with 403.",
        )


def _check_probe(headers: dict[str, str] | None) -> Iterator[Problem]:
    """Report the faults that the running site found in the headers of a signed request."""
    if not headers or headers["status"] != "200":
        yield Problem("/v2/health does not respond with 200.", "Read the log of the proxy and the site.")
        return
    findings = headers.get(probe.HEADER.lower())
    if findings is None:
        yield Problem(
            "The site that responds has another SECRET_KEY, or older code: it is not this one, or was not restarted.",
            "Restart it, and run doctor with its environment. Check where the proxy sends requests.",
        )
        return
    if probe.WRONG_COUNT in findings:
        yield Problem(
            "TRUSTED_PROXY_COUNT is not the number of proxies that add to X-Forwarded-For, so clients count as one, "
            "or choose their addresses.",
            "Set it to the number of your proxies, let each append to X-Forwarded-For, and restart.",
        )
    if probe.NO_AUTHORIZATION in findings:
        yield Problem(
            "The Authorization header does not reach the site, so every key gets 401.",
            "Let every proxy pass it on. For Apache with mod_wsgi, set WSGIPassAuthorization On.",
        )


def _headers_of_form(host: str) -> dict[str, str]:
    """Return the headers of a form that a browser sends. Any token is valid if the cookie equals
    it."""
    token = get_random_string(CSRF_SECRET_LENGTH)
    return {
        "Origin": f"https://{host.lower().removesuffix(':443')}",
        "Cookie": f"{settings.CSRF_COOKIE_NAME}={token}",
        "X-CSRFToken": token,
    }


def _head(
    scheme: str, host: str, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> dict[str, str] | None:
    """Return the headers of a response in lower case, with its status, or None without one."""
    try:
        connection = (
            http.client.HTTPSConnection(host, timeout=TIMEOUT, context=ssl.create_default_context())
            if scheme == "https"
            else http.client.HTTPConnection(host.partition(":")[0], timeout=TIMEOUT)
        )
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        connection.close()
    except (OSError, http.client.HTTPException):
        return None
    return {name.lower(): value for name, value in response.getheaders()} | {"status": str(response.status)}
