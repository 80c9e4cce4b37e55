"""Helpers for the admin's pages for keys."""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts_app.models import User
from finta_keys.models import ApiKey
from tests.factories import UserFactory

KEY_ACTIONS = ("rename", "edit_scope", "rotate", "delete")


def url(page: str, *args: Any) -> str:
    return reverse(f"admin:finta_keys_apikey_{page}", args=args)


def operator(*permissions: str) -> Client:
    """Return a client signed in as staff with these permissions on keys, or as a superuser if none are given."""
    user = UserFactory(is_staff=True, is_superuser=not permissions)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{name}_apikey" for name in permissions]))
    return signed_in(user)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def logged(key_pk: Any) -> list[tuple[int, str]]:
    """Return the entries for a key in the admin's log, oldest first."""
    return list(
        LogEntry.objects.filter(object_id=str(key_pk)).order_by("pk").values_list("action_flag", "change_message")
    )


def digest(key: ApiKey) -> bytes:
    """Return the stored digest."""
    return bytes(ApiKey.objects.get(pk=key.pk).digest)


def everything_stored() -> str:
    """Return every row of every table as text, with decoded sessions."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # names from the database
            rows += cursor.fetchall()
    return repr([rows, [session.get_decoded() for session in Session.objects.all()]])
