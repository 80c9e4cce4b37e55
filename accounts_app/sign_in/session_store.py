"""Sessions in the database, stored under a keyed hash of the session key.

Django stores session keys as the cookie has them, so a copy of the database would let its reader
sign in as every user with an open session. The hash uses ``SECRET_KEY``.

Sessions are read from the primary database: a replica may not know yet that a user signed out.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac


class SessionStore(db.SessionStore):
    """The ``SESSION_ENGINE`` of the site."""

    def load(self) -> dict[str, Any]:
        session = _stored(self.session_key).filter(expire_date__gt=timezone.now()).first()
        if session is None:
            self._session_key = None
            return {}
        return self.decode(session.session_data)

    def exists(self, session_key: str) -> bool:
        return _stored(session_key).exists()

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        session = super().create_model_instance(data)
        session.session_key = _digest(session.session_key)
        return session

    def delete(self, session_key: str | None = None) -> None:
        _stored(session_key or self.session_key).delete()

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


def _stored(session_key: str | None) -> QuerySet[Session]:
    return Session.objects.using(router.db_for_write(Session)).filter(session_key=_digest(session_key))


def _digest(session_key: str | None) -> str:
    """Return 40 characters, the length of Django's column."""
    return salted_hmac(__name__, session_key or "", algorithm="sha256").hexdigest()[:40]
