"""Manage keys by pages, the admin and the command: ``python -m tests.concurrency.page_writers ROUNDS PROCESS``.

Runs in the test project ``tests/hosts/project``, on Django's default settings. Several processes share a database. The
statuses and all failures are printed as JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections import Counter
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
django.setup()
settings.ALLOWED_HOSTS = ["testserver"]

from django.contrib.auth import get_user_model  # noqa: E402  # after setup()
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from shops.models import Shop, Town  # noqa: E402

from finta_keys.models import ApiKey  # noqa: E402
from tests.finta_keys.pages import fields  # noqa: E402

ADMIN = "admin:finta_keys_apikey_"


class Writer:
    """One process: an owner who is an operator too."""

    def __init__(self, process: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        self.owner = get_user_model().objects.create_superuser(f"owner {process}")
        town = Town.objects.create(name="Town")
        self.shops = [
            Shop.objects.create(merchant=self.owner, town=town, name=name) for name in ("One", "Two", "Three")
        ]
        self.client = Client(raise_request_exception=False)
        self.client.force_login(self.owner)

    def submit(self, place: str, action: str, address: str, *, expected: int, **data: Any) -> None:
        """Open a page and submit its form."""
        page = self.client.get(address)
        sent = {**fields(page), **data}
        if "accounts" in data:
            sent.pop("share_all_accounts", None)
        response = self.client.post(address, sent)
        for kind, status, wanted in (
            (f"GET {action}", page.status_code, 200),
            (action, response.status_code, expected),
        ):
            self.outcomes[f"{place} {kind}: {status}"] += 1
            if status != wanted:
                self.failures.append(f"{place} {kind}: {status}")

    def newest(self) -> ApiKey:
        return ApiKey.objects.filter(owner=self.owner).latest("created_at")

    def run_round(self, number: int) -> None:
        for place, url in {"page": self.page_url, "admin": self.admin_url}.items():
            self.submit(place, "create", url("create"), expected=200, name=f"{place} {number}")
            key = self.newest()
            self.submit(place, "rename", url("rename", key), expected=302, name=f"{place} {number} again")
            self.submit(place, "edit scope", url("edit_scope", key), expected=302, accounts=[self.shops[0].pk])
            self.submit(place, "rotate", url("rotate", key), expected=200)
            self.submit(place, "delete", url("delete", key), expected=302)
            if ApiKey.objects.filter(pk=key.pk).exists():
                self.failures.append(f"{place}: the key was not deleted")
        self.run_command(number)
        self.newest().delete()

    def page_url(self, action: str, key: ApiKey | None = None) -> str:
        return reverse(f"finta_keys:{action}", args=[key.pk] if key else [])

    def admin_url(self, action: str, key: ApiKey | None = None) -> str:
        return reverse(f"{ADMIN}{action}", args=[key.pk if key else self.owner.pk])

    def run_command(self, number: int) -> None:
        output = io.StringIO()
        call_command("createkey", user=self.owner.username, name=f"command {number}", stdout=output, stderr=output)
        self.outcomes["command createkey"] += 1


def main(rounds: str, process: str) -> None:
    writer = Writer(int(process))
    for number in range(int(rounds)):
        try:
            writer.run_round(number)
        except Exception as error:  # such as a locked database in this script's own lookups
            writer.failures.append(repr(error))
    print(json.dumps({"outcomes": writer.outcomes, "failures": writer.failures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
