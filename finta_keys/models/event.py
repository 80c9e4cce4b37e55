"""The history of keys, and of the accounts that keys can access (rule H1)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from finta_keys import names
from finta_keys.database import KeyDatabaseManager


class KeyEventQuerySet(models.QuerySet["KeyEvent"]):
    def of_key(self, key_pk: Any, owner_pk: Any = None) -> KeyEventQuerySet:
        """Return the events of a key, living or deleted, oldest first.

        With ``owner_pk``, also those of the owner's accounts, which have no key.
        """
        condition = models.Q(key_id=key_pk)
        if owner_pk is not None:
            condition |= models.Q(key_id=None, owner_pk=str(owner_pk))
        return self.filter(condition).order_by("at", "pk")

    def forget_user(self, user_pk: Any) -> None:
        """Remove personal data of a deleted user: names, addresses and accounts.

        Of their keys, the time, action, key id and hint stay, and the operator or command that made
        a change, so that no one can hide it by deleting the owner.
        """
        pk = str(user_pk)
        self.filter(actor_pk=pk).update(actor_name="", address="")
        events = self.filter(owner_pk=pk)
        events.update(key_name="", changes={})
        others = (KeyEvent.Actor.OPERATOR, KeyEvent.Actor.COMMAND)
        events.exclude(actor__in=others).update(actor_pk="", actor_name="", address="")


class KeyEvent(models.Model):
    """One action on a key, or one account that its owner got or lost.

    It has no foreign keys, because it outlives the key, the owner and the accounts. ``changes`` has
    the texts that a page needs to describe it. Accounts are pairs of primary key and label.

    ``created``, ``deleted``
        the state of the key: ``name``, ``share_all_accounts``, ``accounts``, ``read_only``,
        ``expires_at``
    ``renamed``, ``rotated``
        ``name`` or ``hint``: the old and the new one
    ``scope_edited``
        ``added`` and ``removed`` accounts; the old and the new ``share_all_accounts``,
        ``read_only`` and ``expires_at``, if they changed
    ``account_joined``
        ``added``: an account that the key created and added to its scope (rule S5)
    ``account_gained``, ``account_lost``
        ``account``, of the owner; ``reason``: ``created``, ``deleted`` or ``transferred``
    ``known``
        nothing: the key is older than the history
    """

    class Action(models.TextChoices):
        CREATED = "created", gettext_lazy("Created")
        RENAMED = "renamed", gettext_lazy("Renamed")
        SCOPE_EDITED = "scope_edited", gettext_lazy("Scope edited")
        ACCOUNT_JOINED = "account_joined", gettext_lazy("Joined the scope")
        ROTATED = "rotated", gettext_lazy("Rotated")
        DELETED = "deleted", gettext_lazy("Deleted")
        ACCOUNT_GAINED = "account_gained", gettext_lazy("Added to the owner")
        ACCOUNT_LOST = "account_lost", gettext_lazy("Left the owner")
        KNOWN = "known", gettext_lazy("History begins")

    class Actor(models.TextChoices):
        PERSON = "person", gettext_lazy("Owner")
        OPERATOR = "operator", gettext_lazy("Operator")
        COMMAND = "command", gettext_lazy("Command")
        KEY = "key", gettext_lazy("The key itself")
        CODE = "code", gettext_lazy("Code")

    at = models.DateTimeField(gettext_lazy("time"), default=timezone.now, db_index=True)
    action = models.CharField(gettext_lazy("action"), max_length=20, choices=Action)
    # Null for events of the owner's accounts, which concern all keys of the owner.
    key_id = models.UUIDField(gettext_lazy("key id"), null=True)
    key_name = models.CharField(gettext_lazy("key"), max_length=names.MAX_LENGTH, blank=True)
    key_hint = models.CharField(gettext_lazy("hint"), max_length=64, blank=True)
    # Stored as text, because the type of the user's primary key differs between projects.
    owner_pk = models.CharField(gettext_lazy("owner"), max_length=255)
    actor = models.CharField(gettext_lazy("made by"), max_length=10, choices=Actor)
    actor_pk = models.CharField(max_length=255, blank=True)
    actor_name = models.CharField(gettext_lazy("name"), max_length=255, blank=True)
    address = models.CharField(gettext_lazy("address"), max_length=45, blank=True)
    changes = models.JSONField(gettext_lazy("changes"), default=dict)

    objects: ClassVar[Any] = KeyDatabaseManager.from_queryset(KeyEventQuerySet)()

    class Meta:
        verbose_name = gettext_lazy("event")
        verbose_name_plural = gettext_lazy("history")
        ordering = ["-at", "-pk"]
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["key_id", "at"], name="finta_keys_event_of_key"),
            models.Index(fields=["owner_pk", "at"], name="finta_keys_event_of_owner"),
            models.Index(fields=["actor_pk"], name="finta_keys_event_of_actor"),  # if a user is deleted
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.key_name}".strip()
