"""Random texts of any size for every form, endpoint and command: no error 500, and no slow request.

``FUZZ_MINUTES`` is the duration, and ``FUZZ_SEED`` the start of the random numbers.
"""

from __future__ import annotations

import io
import json
import os
import random
import time
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import fields

MINUTES = float(os.environ.get("FUZZ_MINUTES", "0.1"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BUDGET = 2.0  # seconds of processor time for one request
MAX_BODY = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
MAX_LINE = 60_000  # of a URL or a header; servers allow less
PLANES = [(plane << 16, (plane << 16) + 0xFFFF) for plane in range(17)]
# Combining marks of two classes, which NFKC sorts; ligatures that NFKC makes 18 times as long; invisible
# characters, text direction marks, a sign outside the first plane, case that changes the length.
PIECES = [
    "\u0315", "\u0316", "\u0315\u0316", "a\u0316\u0315", "\u1ab0", "\ufdfa", "\u3164", "\u200b", "\ufe0f", "\u202e",
    "\u2028", "\0", "\x1b[31m", "\r\n", "\ud800", "\udfff", "👩‍👩‍👧‍👦", "ß", "ŉ", "İ", "ﬃ", "가", "ｶﾞ", "<b>", "'",
    "%00", "%s", "{{ 7 }}", "[", "{\"a\":", "\\", ",", "&", "=", "..", "-", "9", "0x", "1e999", "NaN", " ", "\u00a0",
]  # fmt: skip


class Source:
    """Random texts and values."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.known: list[str] = ["", "1", "all", "none", "on", "true", "null", secret.generate()]

    def size(self, limit: int) -> int:
        """Return a size up to the limit. Small ones are as frequent as large ones."""
        return int(limit ** self.random.random())

    def character(self) -> str:
        return chr(self.random.randint(*self.random.choice(PLANES)))

    def text(self, limit: int) -> str:
        size = self.size(limit)
        match self.random.randrange(5):
            case 0:
                return self.random.choice(self.known)
            case 1:
                return "".join(self.random.choice(PIECES) for _ in range(min(size, 200)))
            case 2:
                return "".join(self.character() for _ in range(min(size, 200)))
            case 3:
                repeated = "".join(self.random.choice(PIECES) * (size // 2) for _ in range(2))
                return self.random.choice(["", "a"]) + repeated[:size]
            case _:
                alphabet = [self.random.choice([self.character(), *PIECES]) for _ in range(3)]
                return "".join(self.random.choices(alphabet, k=size))[:size]

    def value(self, limit: int, depth: int = 0) -> object:
        """Return a value for JSON."""
        match self.random.randrange(8 if depth < 3 else 5):
            case 0:
                return self.random.choice([None, True, False, 0, -1, 2**63, 10**400, 1e308, -0.0])
            case 1:
                return self.random.randint(-(10 ** self.size(300)), 10 ** self.size(300))
            case 2 | 3 | 4:
                return self.text(limit)
            case 5:
                return [self.value(limit // 4, depth + 1) for _ in range(self.size(20))]
            case 6:
                return {self.text(100): self.value(limit // 4, depth + 1) for _ in range(self.size(10))}
            case _:
                return json.loads("[" * 50 + "]" * 50)


def transportable(text: str) -> str:
    """Return a text that a form can carry: browsers replace lone surrogates."""
    return text.encode("utf-8", "replace").decode()


class Target:
    """The pages, endpoints and commands, and the cost of the requests."""

    def __init__(self, source: Source, alice, restricted, secret, account) -> None:
        self.source, self.alice, self.restricted, self.account = source, alice, restricted, account
        self.secret, self.api = secret, ApiClient(secret)
        self.owner = Client(raise_request_exception=False)
        self.owner.force_login(alice)
        self.operator = admin_pages.operator()
        self.operator.raise_request_exception = False
        self.anonymous = Client(raise_request_exception=False)
        self.worst: dict[str, tuple[float, int, str]] = {}
        self.failures: list[str] = []
        self.count = 0

    def measure(self, name: str, text: str | bytes, call) -> None:
        size = len(text)
        started = time.process_time()
        status = call()
        seconds = time.process_time() - started
        self.count += 1
        self.worst[name] = max(self.worst.get(name, (0.0, 0, "")), (seconds, size, str(status)))
        if seconds > BUDGET or (status if isinstance(status, str) else status >= 500):
            self.failures.append(f"{name}: {status}, {seconds:.2f} s for {size:,} characters: {ascii(text)[:300]}")

    def pages(self) -> dict[str, tuple[Client, str]]:
        key = self.restricted.key
        own, admin = f"/settings/api/keys/{key.pk}", f"/admin/finta_keys/apikey/{key.pk}"
        actions = ("rename", "edit-scope", "rotate", "delete")
        return {
            "/settings/api/keys/new": (self.owner, "/settings/api/keys/new"),
            **{f"/settings/api/keys/…/{action}": (self.owner, f"{own}/{action}") for action in actions},
            "/admin/…/add/": (self.operator, "/admin/finta_keys/apikey/add/"),
            "/admin/…/add/…/": (self.operator, f"/admin/finta_keys/apikey/add/{self.alice.pk}/"),
            **{f"/admin/…/{action}/": (self.operator, f"{admin}/{action}/") for action in actions},
            "/accounts/new": (self.owner, "/accounts/new"),
            "/accounts/…/edit": (self.owner, f"/accounts/{self.account.pk}/edit"),
            "/login": (self.anonymous, "/login"),
        }

    def form(self) -> None:
        """Submit a form with some random fields. Sometimes its own values stay, so that it gets far."""
        name, (client, address) = self.source.random.choice(list(self.pages().items()))
        data = fields(client.get(address)) | {"turn": [""], "owner": [""]}
        if self.source.random.random() < 0.7:
            del data["turn"]
        for field in self.source.random.sample(list(data), min(len(data), self.source.size(5))):
            data[field] = [transportable(self.source.text(MAX_BODY // 12)) for _ in range(self.source.size(4))]
        if self.source.random.random() < 0.5:
            data.pop("share_all_accounts", None)
        body = "&".join(f"{field}={quote(value)}" for field, values in data.items() for value in values)
        content_type = "application/x-www-form-urlencoded"
        self.measure(name, body, lambda: client.post(address, body, content_type=content_type).status_code)

    def search(self) -> None:
        client, address, names = self.source.random.choice(
            [
                (self.owner, "/settings/api", ("q", "sort", "page")),
                (self.owner, "/accounts", ("page",)),
                (self.operator, "/admin/finta_keys/apikey/", ("q", "o", "p", "e", "share_all_accounts__exact")),
                (self.api, "/v2/accounts", ("status", "type", "bankConnectionId")),
                (self.api, "/v2/transactions", ("cursor", "limit", "startDate", "bankAccountId")),
            ]
        )
        query = {name: transportable(self.source.text(MAX_LINE // 12)) for name in names}
        self.measure(f"{address}?", " ".join(query.values()), lambda: client.get(address, query).status_code)

    def path(self) -> None:
        part = quote(transportable(self.source.text(2_000)), safe="")
        pattern = self.source.random.choice(
            [
                "/settings/api/keys/{}/rename",
                "/v2/accounts/{}",
                "/admin/finta_keys/apikey/{}/change/",
                "/accounts/{}/edit",
            ]
        )
        client = {"/v": self.api, "/s": self.owner}.get(pattern[:2], self.operator)
        self.measure(pattern, part, lambda: client.get(pattern.format(part)).status_code)

    def body(self) -> None:
        """Send JSON, valid or nearly so."""
        method, address = self.source.random.choice(
            [("post", "/v2/accounts"), ("patch", f"/v2/accounts/{self.account.pk}"), ("put", "/v2/me")]
        )
        known = {
            "name": "Wallet",
            "type": "cash",
            "currency": "EUR",
            "currentBalance": 1,
            "liability": {"type": "credit"},
        }
        for field in self.source.random.sample(list(known), self.source.size(5)):
            known[field] = self.source.value(MAX_BODY // 12)
        whole = self.source.value(MAX_BODY // 12) if self.source.random.random() < 0.2 else known
        text = json.dumps(whole, ensure_ascii=self.source.random.random() < 0.5)
        body = text.encode("utf-8", "surrogatepass")[: self.source.random.choice([None, None, None, -1])]
        self.measure(f"{method} /v2", body, lambda: self._send(method, address, body))

    def _send(self, method: str, address: str, body: bytes) -> int:
        client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {self.secret}"})
        return int(client.generic(method.upper(), address, body, content_type="application/json").status_code)

    def header(self) -> None:
        text = self.source.random.choice(["Bearer ", "Bearer finta_", "Basic ", ""]) + self.source.text(MAX_LINE)
        value = text.encode("utf-8", "surrogatepass").decode("latin-1")  # as servers pass it to WSGI
        client = Client(raise_request_exception=False, HTTP_AUTHORIZATION=value)
        address = self.source.random.choice(["/v2/me", "/v2/nothing", "/settings/api", "/login"])
        self.measure(f"{address} with a header", value, lambda: client.get(address).status_code)

    def command(self) -> None:
        """Run a command. Arguments of a shell have no NUL, and each has at most 128 kB."""
        texts = (self.source.text(120_000).replace("\0", "") for _ in range(3))
        name, user, account = (os.fsdecode(text.encode("utf-8", "surrogatepass")) for text in texts)
        arguments = {
            "createkey": ["--user", self.source.random.choice([user, "alice@example.com"]), "--name", name],
            "scankeys": [self.source.random.choice([name[:3_000], "-"])],
            "listkeys": ["--user", user],
        }
        command = self.source.random.choice(list(arguments))
        extra = ["--account", account] if command == "createkey" and len(account) % 2 else []
        self.measure(
            f"manage.py {command}", f"{name} {user} {account}", lambda: self._run(command, arguments[command] + extra)
        )

    def _run(self, command: str, arguments: list[str]) -> str:
        output = io.StringIO()
        try:
            call_command(command, *arguments, stdout=output, stderr=output)
        except (CommandError, SystemExit):
            return ""
        except Exception as error:
            return repr(error)
        return ""


@pytest.mark.slow
def test_random_input_is_neither_an_error_nor_slow(alice, restricted, unrestricted, accounts, settings):
    settings.SIGN_IN_LIMIT = settings.SIGN_IN_SOURCE_LIMIT = "1000000/minute"
    source = Source(SEED)
    source.known += [str(restricted.key.pk), str(accounts.cash.pk), json.dumps([str(accounts.savings.pk)])]
    target = Target(source, alice, restricted, unrestricted.secret, accounts.cash)
    until = time.monotonic() + MINUTES * 60
    print(f"FUZZ_SEED={SEED}")
    kinds = [target.form, target.form, target.search, target.path, target.body, target.header, target.command]
    while time.monotonic() < until:
        source.random.choice(kinds)()
        if not ApiKey.objects.filter(pk=restricted.key.pk).exists():  # A form has deleted it.
            restricted.key, _ = make_key(alice, None, [accounts.checking])
    print(f"{target.count:,} requests. The slowest, in seconds of processor time:")
    for name, (seconds, size, status) in sorted(target.worst.items(), key=lambda item: -item[1][0]):
        print(f"{seconds:6.3f}  {name}  {status}  {size:,} characters")
    assert not target.failures, "\n".join(target.failures)
