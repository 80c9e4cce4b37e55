"""Sessions in the database, stored under a keyed hash of the session key.

Django stores session keys as the cookie has them, so a copy of the database would let its reader
sign in as every user with an open session. The hash uses ``SECRET_KEY``.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import salted_hmac


class SessionStore(db.SessionStore):
    """The ``SESSION_ENGINE`` of the site."""

    def load(self) -> dict[str, Any]:
        sessions = Session.objects.filter(session_key=_digest(self.session_key), expire_date__gt=timezone.now())
        session = sessions.first()
        if session is None:
            self._session_key = None
            return {}
        return self.decode(session.session_data)

    def exists(self, session_key: str) -> bool:
        return super().exists(_digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        session = super().create_model_instance(data)
        session.session_key = _digest(session.session_key)
        return session

    def delete(self, session_key: str | None = None) -> None:
        session_key = session_key or self.session_key
        if session_key:
            super().delete(_digest(session_key))

    # Asynchronous middleware and views

    async def aload(self) -> dict[str, Any]:
        return await sync_to_async(self.load)()

    async def aexists(self, session_key: str) -> bool:
        return await sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        session = await super().acreate_model_instance(data)
        session.session_key = _digest(session.session_key)
        return session

    async def adelete(self, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)


def _digest(session_key: str | None) -> str:
    """Return 40 characters, the length of Django's column."""
    return salted_hmac(__name__, session_key or "", algorithm="sha256").hexdigest()[:40]
