"""Checks of the storage of rate limits and of the mail server."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parseaddr
from typing import Any

import django
from django.conf import settings
from django.core import mail
from limits.storage import storage_from_string

from accounts_app import limiter
from accounts_app.doctor.problems import Problem
from accounts_app.doctor.site import LOCAL_HOSTS

SKEW = 5  # seconds


def check_rate_limits() -> Iterator[Problem]:
    if settings.RATE_LIMIT_STORAGE.startswith("memory:"):
        if limiter.worker_count() > 1:
            yield Problem(
                "Several workers count rate limits in their own memory, so callers get a multiple of each limit.",
                "Set RATE_LIMIT_STORAGE to a Redis that all share, or use one worker with threads.",
            )
        return
    try:
        limiter.hit("1000/second", "doctor")
    except limiter.Unreachable as error:
        reason = type(error.__cause__ or error).__name__
        yield Problem(
            f"RATE_LIMIT_STORAGE cannot be used ({reason}), so the site works without limits.", _redis_remedy(reason)
        )
        return
    with suppress(Exception):  # not a plain Redis
        storage: Any = storage_from_string(settings.RATE_LIMIT_STORAGE, socket_timeout=1, socket_connect_timeout=1)
        seconds, _ = storage.storage.time()
        if abs(seconds - time.time()) > SKEW:
            yield Problem("The clock of Redis differs from that of this machine.", "Synchronize both with NTP.")
        memory = storage.storage.info("memory")
        if memory["maxmemory"] and memory["maxmemory_policy"] != "noeviction":
            yield Problem(
                "Redis removes keys when its memory is full, so callers get more requests than their limit.",
                "Set its maxmemory-policy to noeviction, and make sure that maxmemory is enough for all its users.",
            )


def _redis_remedy(reason: str) -> str:
    if "Authentication" in reason or reason == "NoPermissionError":
        return "Correct the user and password in RATE_LIMIT_STORAGE."
    if reason in ("ReadOnlyError", "OutOfMemoryError", "ResponseError"):
        return "Redis rejects writes. Name the primary in RATE_LIMIT_STORAGE, and make sure that it has memory."
    return "Start or restart Redis, and check the host and port in RATE_LIMIT_STORAGE."


def check_mail() -> Iterator[Problem]:
    if settings.DEBUG:
        return
    if settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        yield Problem(
            "DEFAULT_FROM_EMAIL is not set, so mail comes from an address that servers reject.",
            "Set DEFAULT_FROM_EMAIL to an address of your domain.",
        )
    connection = _mail_server()
    if not isinstance(getattr(connection, "host", None), str):
        yield Problem("EMAIL_URL names no mail server, so password resets reach no one.", "Set it to smtp+tls://….")
        return
    has_tls = connection.use_tls or connection.use_ssl
    if connection.password and not has_tls and connection.host not in LOCAL_HOSTS:
        yield Problem(
            "The password of the mail server is sent without TLS.", "Use smtp+tls:// or smtps:// in EMAIL_URL."
        )
    try:
        connection.open()
        smtp = connection.connection
        smtp.ehlo_or_helo_if_needed()
        status, _ = smtp.mail(parseaddr(settings.DEFAULT_FROM_EMAIL)[1])
        connection.close()
    except (OSError, smtplib.SMTPException) as error:
        yield Problem(f"The mail server cannot be used ({type(error).__name__}).", _mail_remedy(error))
        return
    if status != 250:
        yield Problem(
            "The mail server rejects the sender, DEFAULT_FROM_EMAIL.",
            "Set it to an address that the server accepts. If the server requires a user, add it to EMAIL_URL.",
        )


def _mail_server() -> Any:
    return mail.mailers["default"] if django.VERSION >= (6, 1) else mail.get_connection()


def _mail_remedy(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "Correct the user and password in EMAIL_URL."
    if isinstance(error, socket.gaierror):
        return "Correct the host in EMAIL_URL: its name is unknown."
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The certificate of the mail server is not valid for the host in EMAIL_URL."
    if isinstance(error, (ssl.SSLError, smtplib.SMTPNotSupportedError, smtplib.SMTPServerDisconnected, TimeoutError)):
        return "Check the port and the scheme in EMAIL_URL: smtp+tls for port 587, smtps for port 465."
    return "Start the mail server, and check the host and port in EMAIL_URL."
