"""The cases that are measured: one design in one process, with one database, caller and entry point."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.designs import DESIGNS

KEYS = 100_000
MANY_OWNED = 10_001  # accounts of the owner whose keys are restricted: one more than the largest scope
SCOPES = (1, 100, 10_000)
OWNED_KEYS = (1, 100, 1_000)
REJECTIONS = ("unknown", "malformed", "elsewhere")
KINDS = ("valid", *REJECTIONS)
FULL_SIZE, FULL_EVENTS, EVENTS = 1_000_000, 1_000_000, 10_000


@dataclass(frozen=True)
class Data:
    """The content of a database: the keys of a design, and as many events of their history."""

    design: str
    keys: int
    events: int

    @property
    def name(self) -> str:
        return f"{self.design}_{self.keys}" + (f"_{self.events}" if self.events else "")


@dataclass(frozen=True)
class Case:
    """One process: a design, the size of its tables, the caller's key, and the entry point of the request.

    ``entry`` is ``view`` (call the view), ``wsgi`` (the WSGI handler with the site's middleware) or ``site`` (the
    site's own ``GET /v2/accounts/{id}``, with rate limit, Storage Mode and serializer, through the WSGI handler).
    ``connection`` is a key of ``CONNECTIONS`` in ``settings.py``.
    """

    design: str
    caller: str = "all"
    entry: str = "view"
    kinds: tuple[str, ...] = ("valid",)
    keys: int = KEYS
    events: int = 0
    connection: str = "persistent"

    @property
    def data(self) -> Data:
        return Data(DESIGNS[self.design].data or self.design, self.keys, self.events)

    @property
    def name(self) -> str:
        return f"{self.design}-{self.caller}-{self.entry}-{self.connection}-{self.data.name}"

    @property
    def label(self) -> str:
        label = DESIGNS[self.design].label
        if self.data.design == "finta" or self.caller != "all":
            label += ", " + caller_label(self.caller)
        return label

    @property
    def count(self) -> int:
        """Return the number in the caller's name: accounts in a scope, or keys of an owner."""
        return int(self.caller.partition("-")[2] or 1)


def caller_label(caller: str) -> str:
    kind, _, count = caller.partition("-")
    if kind == "scope":
        return f"{int(count):,} account{'s' if int(count) > 1 else ''} in scope"
    if kind == "owner":
        return f"owner with {int(count):,} keys"
    return "all accounts"


FLOOR = Case("floor")
ALL, SOME, TOKEN = Case("finta", kinds=KINDS), Case("finta", "scope-100", kinds=KINDS), Case("token", kinds=KINDS)
OURS = (ALL, SOME)
KNOX = Case("knox", kinds=KINDS)
PEERS = (*OURS, TOKEN, KNOX, *(Case(name, kinds=KINDS) for name in ("apikey", "simple", "tenant", "wagtail")))
NINJA = Case("ninja")
RAISES = Case("raises", kinds=("malformed",))
HANDLERS = (Case("handler"), Case("handler", "scope-100"))
BY_SCOPE = tuple(SOME if size == 100 else Case("finta", f"scope-{size}") for size in SCOPES)
BY_OWNED = tuple(
    next(case for case in PEERS if case.design == design) if count == 1 else Case(design, f"owner-{count}")
    for design in ("finta", "knox")
    for count in OWNED_KEYS
)

WSGI_FLOOR, WSGI_ALL, WSGI_SOME, WSGI_TOKEN = (replace(case, entry="wsgi") for case in (FLOOR, ALL, SOME, TOKEN))
WSGI = (WSGI_FLOOR, WSGI_ALL, WSGI_SOME, WSGI_TOKEN)
SITE = (Case("finta", entry="site"), Case("finta", "scope-100", entry="site"))
ON_POSTGRESQL = (FLOOR, *PEERS, *WSGI)
SERVED = (*(replace(case, kinds=("valid",)) for case in WSGI), Case("knox", entry="wsgi"))


def by_size(full: bool) -> tuple[Case, ...]:
    """Return cases with few to many keys in the table."""
    sizes = (1_000, KEYS, FULL_SIZE) if full else (1_000, KEYS)
    return tuple(
        case if size == KEYS else Case("finta", case.caller, kinds=("valid", "unknown"), keys=size)
        for case in OURS
        for size in sizes
    )


def by_events(full: bool) -> tuple[Case, ...]:
    """Return cases with 1,000 keys and without or with a history."""
    return tuple(
        Case("finta", case.caller, kinds=("valid", "unknown"), keys=1_000, events=events)
        for case in OURS
        for events in (0, FULL_EVENTS if full else EVENTS)
    )


def on_sqlite(full: bool) -> tuple[Case, ...]:
    cases = (FLOOR, *PEERS, NINJA, RAISES, *HANDLERS, *BY_SCOPE, *BY_OWNED, *by_size(full), *by_events(full))
    return tuple(dict.fromkeys((*cases, *WSGI, *SITE)))


def by_connection(names: tuple[str, ...]) -> tuple[Case, ...]:
    """Return the cases of PostgreSQL's settings."""
    return tuple(replace(case, kinds=("valid",), connection=name) for name in names for case in WSGI)
