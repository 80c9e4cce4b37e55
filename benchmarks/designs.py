"""The designs, and the cases that are measured: one design in one process at one entry point."""

from __future__ import annotations

from dataclasses import dataclass, field

KEYS = 100_000
MANY_OWNED = 10_001  # accounts of the owner whose keys are restricted: one more than the largest scope
SCOPES = (1, 100, 10_000)
OWNED_KEYS = (1, 100, 1_000)
REJECTIONS = ("unknown", "malformed", "elsewhere")
KINDS = ("valid", *REJECTIONS)


@dataclass(frozen=True)
class Design:
    """A library or class that authenticates. ``package`` is its name on PyPI, ``app`` its Django app."""

    name: str
    label: str
    package: str = ""
    app: str = ""
    note: str = ""


DESIGNS = {
    design.name: design
    for design in (
        Design("floor", "no authentication (the floor)"),
        Design("finta", "finta_keys"),
        Design(
            "token",
            "DRF TokenAuthentication",
            "djangorestframework",
            "rest_framework.authtoken",
            "the secret is stored in plain text; one token per user",
        ),
        Design(
            "apikey",
            "djangorestframework-api-key",
            "djangorestframework-api-key",
            "rest_framework_api_key",
            "a permission, without a user",
        ),
        Design("knox", "django-rest-knox", "django-rest-knox", "knox", "reads all tokens of the owner per request"),
        Design(
            "simple",
            "drf-simple-apikey",
            "drf-simple-apikey",
            "drf_simple_apikey",
            "sleeps 10 ms on purpose, which costs time but no instructions",
        ),
    )
}


@dataclass(frozen=True)
class Case:
    """One process: a design, the size of its table, the caller's key, and the entry point of the request.

    ``entry`` is ``view`` (call the view), ``wsgi`` (the WSGI handler with the site's middleware) or ``site`` (the
    site's own ``GET /v2/accounts/{id}``, with rate limit, Storage Mode and serializer, through the WSGI handler).
    """

    design: str
    caller: str = "all"
    keys: int = KEYS
    entry: str = "view"
    kinds: tuple[str, ...] = field(default=("valid",))

    @property
    def name(self) -> str:
        return f"{self.design}-{self.caller}-{self.keys}-{self.entry}"

    @property
    def label(self) -> str:
        label = DESIGNS[self.design].label
        if self.design == "finta":
            label += ", " + caller_label(self.caller)
        elif self.caller.startswith("owner-"):
            label += f", {caller_label(self.caller)}"
        return label


def caller_label(caller: str) -> str:
    kind, _, count = caller.partition("-")
    if kind == "scope":
        return f"{int(count):,} account{'s' if int(count) > 1 else ''} in scope"
    if kind == "owner":
        return f"owner with {int(count):,} keys"
    return "all accounts"


FLOOR = Case("floor")
PEERS = (
    Case("finta", kinds=KINDS),
    Case("finta", "scope-100", kinds=KINDS),
    *(Case(peer, kinds=KINDS) for peer in ("token", "apikey", "knox", "simple")),
)
BY_SCOPE = tuple(Case("finta", f"scope-{size}") for size in SCOPES if size != 100)
BY_OWNED = tuple(Case(design, f"owner-{count}") for design in ("finta", "knox") for count in OWNED_KEYS if count > 1)
WSGI_FLOOR = Case("floor", entry="wsgi")
WSGI = (
    WSGI_FLOOR,
    Case("finta", entry="wsgi"),
    Case("finta", "scope-100", entry="wsgi"),
    Case("token", entry="wsgi"),
    Case("finta", entry="site"),
    Case("finta", "scope-100", entry="site"),
)
SERVED = (
    WSGI_FLOOR,
    Case("finta", entry="wsgi"),
    Case("finta", "scope-100", entry="wsgi"),
    Case("token", entry="wsgi"),
    Case("knox", entry="wsgi"),
)


def by_size(full: bool) -> tuple[Case, ...]:
    sizes = (1_000, 1_000_000) if full else (1_000,)
    return tuple(
        Case("finta", caller, size, kinds=("valid", "unknown")) for size in sizes for caller in ("all", "scope-100")
    )


def cases(full: bool) -> tuple[Case, ...]:
    return (FLOOR, *PEERS, *BY_SCOPE, *BY_OWNED, *by_size(full), *WSGI)
