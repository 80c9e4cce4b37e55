"""The expected outcome of every cell, written from the rules of the specification before any run.

Comments cite rules by number. "Decided" marks a cell that the rules leave open; the outcome is the one a user expects.
Change an outcome only if a rule changes, never because a test fails.
"""

from dataclasses import dataclass, replace
from itertools import product

FORMS = ("named", "default")  # the view names the classes, or only DEFAULT_AUTHENTICATION_CLASSES does
LINEUPS = {
    "key": ("key",),
    "key_session": ("key", "session"),
    "session_key": ("session", "key"),
    "key_other": ("key", "other"),
    "other_key": ("other", "key"),
}
SCOPED = ("scoped_protected", "scoped_public")
MARKED = ("marked_protected", "marked_public", "marked_function")
# Decided: a mark on a handler does not open a view. Only the mixin or a mark on the view does (S7.1), and a check says
# so. marked_handler is GET and unmarked_handler POST at a view that marks only GET.
UNMARKED = ("unmarked_protected", "unmarked_public", "marked_handler", "unmarked_handler")
OPEN_TO_KEYS = SCOPED + MARKED  # S7.1
PUBLIC = ("scoped_public", "marked_public", "unmarked_public")
PLAIN = ("plain", "plain_scoped", "plain_key")
PAGES = ("page", "admin")  # API settings, and the list of keys in the admin
MIDDLEWARE = ("none", "reads_key", "signs_in_owner")

ROWS = {
    "all": ("Hidden", "Visible"),  # Alice's accounts
    "restricted": ("Visible",),
    "alice": ("Hidden", "Visible"),
    "bob": ("Bob's",),
    "staff": ("Staff's",),
    None: (),
}
KEYS = ("all", "restricted")  # both are Alice's
INVALID = ("malformed", "unknown")  # both start like ours


@dataclass(frozen=True)
class Credential:
    session: str | None = None  # the user whose session cookie the request carries
    secret: str | None = None  # what stands in the header as a secret of ours
    other: str | None = None  # what stands in the header for the other library: "known" or "unknown"


CREDENTIALS = {
    "none": Credential(),
    "all_accounts_key": Credential(secret="all"),
    "restricted_key": Credential(secret="restricted"),
    "malformed": Credential(secret="malformed"),
    "unknown": Credential(secret="unknown"),
    "session_of_owner": Credential(session="alice"),
    "session_of_other": Credential(session="bob"),
    "session_of_staff": Credential(session="staff"),
    "owner_and_restricted_key": Credential(session="alice", secret="restricted"),
    "owner_and_all_accounts_key": Credential(session="alice", secret="all"),
    "other_and_restricted_key": Credential(session="bob", secret="restricted"),
    "staff_and_restricted_key": Credential(session="staff", secret="restricted"),
    "owner_and_malformed": Credential(session="alice", secret="malformed"),
    "owner_and_unknown": Credential(session="alice", secret="unknown"),
    "token_of_other_library": Credential(other="known"),
    "unknown_token_of_other_library": Credential(other="unknown"),
}


@dataclass(frozen=True)
class Outcome:
    """None in any field but ``challenge`` and ``user`` means: not compared."""

    rule: str
    status: tuple[int, ...]
    challenge: str | None = None  # WWW-Authenticate
    user: str | None = None  # of the handler's request, if it ran
    rows: tuple[str, ...] | None = None
    at_most: bool = False  # fewer rows are right too
    key: str | None = None  # the key that get_key() returned
    sees_header: bool | None = None
    varies: bool = False  # Vary names Authorization
    no_store: bool | None = None  # Cache-Control: private, no-store


@dataclass(frozen=True)
class Cell:
    form: str
    lineup: str
    view: str
    credential: str
    middleware: str

    def __str__(self) -> str:
        return "-".join((self.view, self.form, self.lineup, self.middleware, self.credential))


# The response to a caller without credentials at a protected view: as if our class were not there (S7.1, S7.2).
#
# Ours alone: 401 Bearer (S7.2). Decided for unmarked views too: without our class, no class is left, and DRF would
# respond 403. A project with only our class keeps today's behavior (issue 11), which is 401 Bearer.
# Session alone has no challenge: DRF responds 403. The other library has one: 401 with its challenge.
NOT_AUTHENTICATED = {
    "key": (401, "Bearer"),
    "key_session": (403, None),
    "session_key": (403, None),
    "key_other": (401, 'Bearer realm="other"'),
    "other_key": (401, 'Bearer realm="other"'),
}
# The other library rejected the token. Its own challenge, also if our class stands first.
REJECTED_BY_OTHER = (401, 'Bearer realm="other"')


def expected(cell: Cell) -> Outcome:
    if cell.view in PLAIN:
        return _plain(cell)
    if cell.view in PAGES:
        return _page(cell)
    if cell.view in OPEN_TO_KEYS:
        return _open(cell)
    return _unmarked(cell)


def _open(cell: Cell) -> Outcome:
    """A view that keys open: the mixin, or a mark, which switches off points 4 and 6 only."""
    secret = CREDENTIALS[cell.credential].secret
    # S7.9: every response of such a view varies by Authorization, for all callers.
    # An invalid secret is 401 with our challenge, wherever our class stands, and also if a session comes with it.
    # Decided: Cache-Control of this 401 is not compared; it holds no data.
    if secret in INVALID:
        return Outcome("S7.2", (401,), "Bearer", varies=True)
    # The key decides, not the session that comes with it, nor a request.user that a middleware set (S7.2, K6).
    # Rows: the scope, also for Bob's or a staff session (S7.3, S3).
    if secret in KEYS:
        return Outcome("S7.3", (200,), user="alice", rows=ROWS[secret], varies=True, no_store=True)
    return replace(_without_key(cell), varies=True)


def _unmarked(cell: Cell) -> Outcome:
    """A view that keys do not open: our header is hidden, valid or not (S7.1)."""
    credential = CREDENTIALS[cell.credential]
    outcome = _without_key(cell)
    if not credential.secret:
        return outcome
    # The other library stands before our class and claims the header: it must stand after ours (S7.1), and a check
    # says so. Until then it responds. No class of ours runs before it, because the view has no gate.
    if cell.lineup == "other_key":
        return Outcome("S7.1", REJECTED_BY_OTHER[:1], REJECTED_BY_OTHER[1])
    # Decided: if the session stands first, DRF never asks our class, so the header stays readable. Not compared.
    is_authenticated_by_us = not (cell.lineup == "session_key" and credential.session)
    ran = outcome.status == (200,)
    return replace(outcome, rule="S7.1", sees_header=False if is_authenticated_by_us and ran else None)


def _without_key(cell: Cell) -> Outcome:
    """The outcome of the request without our header."""
    credential = CREDENTIALS[cell.credential]
    lineup = LINEUPS[cell.lineup]
    user = credential.session if "session" in lineup else None
    # Decided: a Bearer token that does not start like ours is not a secret of ours (K6). If no class claims it,
    # the response is the same as without credentials.
    if credential.other and "other" in lineup:
        if credential.other == "unknown":
            return Outcome("S7.2", REJECTED_BY_OTHER[:1], REJECTED_BY_OTHER[1])
        user = "alice"
    if not user and cell.view not in PUBLIC:
        status, challenge = NOT_AUTHENTICATED[cell.lineup]
        return Outcome("S7.2", (status,), challenge)
    # S7.3: the caller's own accounts, staff included; an anonymous caller sees nothing.
    # Decided: a view that asks for no permission serves anonymous callers also if our class is the only one. They see
    # no rows. "A missing one is 401" (S7.2) then means: if a permission asks for a caller.
    rows = ROWS[user] if cell.view in OPEN_TO_KEYS else None
    # A view that keys do not open keeps its own Cache-Control, here none.
    return Outcome("S7.3", (200,), user=user, rows=rows, no_store=None if cell.view in OPEN_TO_KEYS else False)


def _plain(cell: Cell) -> Outcome:
    """A Django view without DRF. It decides itself who may call, so the status is always 200."""
    credential = CREDENTIALS[cell.credential]
    key = credential.secret if credential.secret in KEYS and cell.middleware != "none" else None
    # get_key() never sets request.user; only the middleware with the mistake does.
    user = "alice" if key and cell.middleware == "signs_in_owner" else credential.session
    outcome = Outcome("K6", (200,), user=user)
    if cell.view == "plain":
        return outcome
    if cell.view == "plain_key":
        return replace(outcome, rows=ROWS[key], key=key)
    if key:
        return replace(outcome, rule="S7.3", rows=ROWS[key])
    # Decided: a request that carries a key, valid or not, is never a signed-in person (K6), so scoped() ignores its
    # session. With an invalid secret there are no rows.
    if credential.secret in INVALID:
        return replace(outcome, rows=())
    # Decided: without the middleware nothing looked for the key. scoped() may look for it itself or show nothing, but
    # never shows more than the scope.
    if credential.secret:
        return replace(outcome, rows=ROWS[credential.secret], at_most=True)
    # S7.3: a session sees its own accounts, staff included. The token of the other library means nothing here.
    return replace(outcome, rule="S7.3", rows=ROWS[credential.session])


# Decided: K6 says that pages reject a request that carries a key, but not how. The sign-in page or 403 both do.
PAGE_REJECTS = (302, 401, 403)


def _page(cell: Cell) -> Outcome:
    """A page that manages keys accepts only a signed-in person, and no request that carries a key (K6)."""
    credential = CREDENTIALS[cell.credential]
    if credential.secret:
        return Outcome("K6", PAGE_REJECTS)
    may_open = credential.session == "staff" if cell.view == "admin" else credential.session
    # The sign-in page is where Django leads a visitor who may not open the page.
    return Outcome("K6", (200,) if may_open else (302,))


def _middleware_of(form: str, view: str) -> tuple[str, ...]:
    # A middleware does not depend on how the view gets its classes: one form is enough.
    if form == "default":
        return MIDDLEWARE[:1]
    # Not covered: views that keys do not open, behind a middleware that signs in the owner. The project itself sets
    # request.user there, before any class of ours runs, and its own classes accept that user.
    return MIDDLEWARE[:2] if view in UNMARKED else MIDDLEWARE


def cells() -> list[Cell]:
    of_views = [
        Cell(*parts, middleware)
        for parts in product(FORMS, LINEUPS, OPEN_TO_KEYS + UNMARKED, CREDENTIALS)
        for middleware in _middleware_of(parts[0], parts[2])
    ]
    # Authentication classes mean nothing to views without DRF.
    of_others = [
        Cell("-", "-", view, credential, middleware)
        for view, credential, middleware in product(PLAIN + PAGES, CREDENTIALS, MIDDLEWARE)
    ]
    return of_views + of_others
