"""The expected outcome of every cell, written from the rules of the specification before any run.

Rules are cited by number. "Decided" marks outcomes that the rules leave open: it is the one that a user expects.
Change an outcome only if a rule changes, never because a test fails.
"""

from dataclasses import dataclass
from itertools import product

KEYS = ("restricted_key", "all_accounts_key", "read_only_key")
SESSIONS = ("session_of_owner", "session_of_other", "session_of_staff", "anonymous")
CALLERS = KEYS + SESSIONS
# The row or the account that a request names, as Alice's restricted key sees it. "foreign" is Bob's.
TARGETS = ("visible", "hidden", "foreign", "missing")

# S3, S7.3: a key sees its scope; a session its own rows, staff included; an anonymous caller nothing.
VISIBLE = {
    "restricted_key": {"visible"},
    "all_accounts_key": {"visible", "hidden"},
    "read_only_key": {"visible"},
    "session_of_owner": {"visible", "hidden"},
    "session_of_other": {"foreign"},
    "session_of_staff": set(),
    "anonymous": set(),
}

NOT_FOUND = (404,)
READ_ONLY = (403,)  # K8: any method that is not safe, before anything is looked up
MISTAKE = (500,)  # ImproperlyConfigured: the handler never scoped (S7.6)


@dataclass(frozen=True)
class Spec:
    rule: str
    method: str
    success: int  # for a target that the caller may access
    otherwise: tuple[int, ...] = NOT_FOUND  # for any other target
    missing: tuple[int, ...] = ()  # for a missing one, if it differs from ``otherwise``
    shows: bool = False  # a response to an accessible target contains the row's summary
    writes: bool = False  # such a request changes rows
    always: tuple[int, ...] = ()  # for a key, for every target
    sessions: bool = True  # the rules limit sessions at this handler too
    same: bool = True  # hidden, foreign and missing targets give the same response to the byte (S4)
    undone: bool = False  # a key's changes are rolled back; a session's are not
    saves_others: bool = False  # the handler saves rows outside the scope, and says so


def reads(method: str = "GET", success: int = 200, rule: str = "S7.3", **options) -> Spec:
    """A list: the caller's own rows and no others. A hidden account gives an empty list, as a missing one does."""
    return Spec(rule, method, success, otherwise=(success,), **{"shows": True, **options})


def forgets_to_scope(method: str = "GET", writes: bool = False) -> Spec:
    """The handler responds without scoping: a clear error for a key, for every target, and nothing is changed.

    For missing rows too: a Http404 that the handler raises is a response of its own, and not on the list of exempt
    ones (S7.6). So hidden and missing rows give the same response.
    """
    return Spec("S7.6", method, 200, always=MISTAKE, sessions=False, writes=writes)


def url_row(method: str, success: int = 200, **options) -> Spec:
    """The row in the URL is checked before the handler runs, for every limited caller (S7.4)."""
    return Spec("S7.4", method, success, **options)


def scoped_row(method: str, success: int = 200, **options) -> Spec:
    """The handler itself looks for the row among those of the caller (S7.3)."""
    return Spec("S7.3", method, success, **options)


def saves(method: str, success: int = 200, **options) -> Spec:
    """The handler forgets to scope and saves a row: the save is checked, for keys only (S7.6)."""
    return Spec("S7.6", method, success, **{"writes": True, "sessions": False, **options})


# A handler that loads the row by hand and saves it. The save of a hidden or foreign row is 404. A missing row ends in
# the handler's own Http404, which S7.6 turns into ImproperlyConfigured because nothing was scoped.
# Decided: both are accepted, since a programming mistake may look like a mistake. By S4, both should be the same.
BY_HAND = {"missing": NOT_FOUND + MISTAKE, "same": False}

SPECS = {
    ("list", "scoped"): reads(),
    ("list", "generic"): reads(),
    ("list", "forgets"): forgets_to_scope(),
    ("search", "scoped"): reads("POST"),
    ("search", "forgets"): forgets_to_scope("POST"),
    ("search", "dict"): forgets_to_scope("POST"),
    ("search", "values"): forgets_to_scope("POST"),
    # Detail. A handler of a view with a queryset cannot forget: the row was checked, and that counts as scoping.
    ("detail", "object"): url_row("GET", shows=True),
    ("detail", "scoped"): scoped_row("GET", shows=True),
    ("detail", "by_hand"): url_row("GET", shows=True),
    ("detail", "forgets"): forgets_to_scope(),
    ("detail", "conflict"): forgets_to_scope(),  # any status is a response, not only 2xx
    ("action", "object"): url_row("POST", writes=True),
    ("action", "by_hand"): url_row("POST", writes=True),
    ("action", "download"): url_row("GET", shows=True),
    # For OPTIONS and methods without a handler, the view is asked as for GET (S7.4).
    ("options", "object"): url_row("OPTIONS"),
    ("not_allowed", "object"): url_row("PUT", 405),
    # A declared parent is checked as the row in the URL is (S7.4).
    ("nested", "declared"): url_row("POST", 201, writes=True),
    ("nested", "scoped"): scoped_row("POST", 201, writes=True),
    # "Outside the scope, or leading nowhere: the same 404" (S7.6), so a missing parent is no IntegrityError.
    ("nested", "forgets"): saves("POST", 201),
    ("nested", "silent"): saves("POST", 201),
    # Decided: the lookup of a declared parent counts as "the lookup of the URL's rows", so the list is accepted.
    ("nested_list", "declared"): url_row("GET", shows=True),
    ("nested_list", "forgets"): forgets_to_scope(),
    ("create", "scoped"): scoped_row("POST", 201, writes=True),
    # The library's field: one and the same field error for hidden, foreign and missing accounts.
    ("create", "field"): Spec("S7.7", "POST", 201, otherwise=(400,), writes=True),
    # DRF's own field. Decided: 404 from the save, or 400 once relations scope themselves (S7.7). A missing account is
    # DRF's own ValidationError, which is exempt (S7.6). Sessions are left to S7.7.
    ("create", "relation"): saves("POST", 201, otherwise=(400, 404), same=False),
    ("create", "forgets"): saves("POST", 201),
    ("create", "audited"): scoped_row("POST", 201, writes=True, saves_others=True),
    ("upsert", "scoped"): scoped_row("POST", writes=True),
    # A hidden row is found by its number and saved; for a missing one, a row of a missing account is created.
    ("upsert", "forgets"): saves("POST", same=False),
    ("upsert", "put"): scoped_row("PUT", writes=True),
    ("patch", "object"): url_row("PATCH", writes=True),
    ("patch", "scoped"): scoped_row("PATCH", writes=True),
    ("patch", "by_hand"): url_row("PATCH", writes=True),
    ("patch", "forgets"): saves("PATCH", **BY_HAND),
    # Any exception rolls back (S7.5); the handler's own ValidationError is the response.
    ("patch", "fails"): url_row("PATCH", 400, undone=True),
    # The handler swallows the 404 of the save. No row passed, so it never scoped: a clear error.
    # Decided: the 404 is accepted too. The handler's own response is not.
    ("patch", "caught"): saves("PATCH", otherwise=NOT_FOUND + MISTAKE, same=False),
    ("put", "object"): url_row("PUT", writes=True),
    ("put", "scoped"): scoped_row("PUT", writes=True),
    ("put", "by_hand"): url_row("PUT", writes=True),
    ("put", "forgets"): saves("PUT", **BY_HAND),
    ("delete", "object"): url_row("DELETE", 204, writes=True),
    ("delete", "scoped"): scoped_row("DELETE", 204, writes=True),
    ("delete", "by_hand"): url_row("DELETE", 204, writes=True),
    # A deletion is not checked itself, but the handler never scoped: an error, rolled back.
    ("delete", "forgets"): forgets_to_scope("DELETE"),
    # Bulk. update() of a scoped queryset changes no hidden row; the response says 0 for hidden and missing ones.
    ("bulk", "scoped"): Spec("S7.3", "POST", 200, otherwise=(200,), writes=True),
    # Decided: check_rows() limits every caller, as scoped() does.
    ("bulk", "checked"): Spec("S7.6", "POST", 201, writes=True),
    # bulk_create() and QuerySet.update() are not checked themselves (S7.6, see NOT_COVERED). These handlers never
    # scope, so the response of a key is an error, rolled back, also for visible rows.
    ("bulk", "updates"): forgets_to_scope("POST"),
    ("bulk", "creates"): forgets_to_scope("POST"),
    # Saves a visible row, then the target: the first change is rolled back with the second (S7.5).
    ("bulk", "saves"): saves("POST", **BY_HAND),
    # The row in the URL is the caller's own; the body names the target.
    ("transfer", "scoped"): scoped_row("POST", writes=True),
    ("transfer", "forgets"): saves("POST"),  # the row is checked as it will be, before COMMIT
    ("theft", "scoped"): scoped_row("POST", writes=True),
    ("theft", "forgets"): saves("POST", **BY_HAND),  # the row is checked as it was, before it is saved
    ("export", "scoped"): reads(),
    ("export", "forgets"): forgets_to_scope(),
    ("redirect", "scoped"): scoped_row("GET", 302),
    ("redirect", "by_hand"): url_row("GET", 302),
    ("redirect", "forgets"): forgets_to_scope(),
    ("redirect", "saves"): saves("POST", 302, **BY_HAND),
    ("streaming", "scoped"): reads(),
    ("streaming", "forgets"): forgets_to_scope(),
    # "Streaming responses must have scoped before they are returned" (issue 12). A session's rows are limited anyway.
    ("streaming", "late"): reads(rule="S7.6", always=MISTAKE),
    # Requested twice, after the owner's session requested the same: the second response comes from the cache.
    ("cached", "object"): url_row("GET", shows=True),
    ("cached", "per_key"): reads(rule="S7.9"),
    ("cached", "forgets"): forgets_to_scope(),
    # With If-None-Match: *. The check comes before the handler, so 304 does not say that a hidden row exists.
    ("condition", "object"): url_row("GET", 304),
    ("condition", "by_hand"): url_row("GET", 304),
    ("condition", "forgets"): forgets_to_scope(),
}

# Neither rejected nor tested, because the rules say so.
NOT_COVERED = {
    "sessions at a handler that forgets to scope": "S7.5 and S7.6 concern requests by a key. S7.4 and S7.7 still hold.",
    "a session's changes before an error": "S7.5 opens a transaction for keys only (patch-fails, visible row).",
    "bulk_create(), bulk_update(), QuerySet.update() and .delete() after something else was scoped": "S7.6; found by "
    "watch_scope() in tests (S7.8). If nothing was scoped, see bulk-updates and bulk-creates.",
    "raw SQL and generic relations": "S7.6, found by S7.8.",
    "bodies of streaming responses after something else was scoped": "S7.6.",
    "threads": "S7.6.",
    "rows only read by hand after something else was scoped": "S7.6, found by S7.8.",
    "cache_page() on a handler": "S7.9: a clear error, tested with issue 11.",
    "decorators of dispatch() and of the view in the URLconf": "They respond before the view runs.",
}


@dataclass(frozen=True)
class Cell:
    operation: str
    variant: str
    caller: str
    target: str

    @property
    def spec(self) -> Spec:
        return SPECS[self.operation, self.variant]

    @property
    def is_accessible(self) -> bool:
        return self.target in VISIBLE[self.caller]

    def __str__(self) -> str:
        return "-".join((self.operation, self.variant, self.caller, self.target))


@dataclass(frozen=True)
class Outcome:
    status: tuple[int, ...]
    shows: bool = False  # the summary of the target is in the response
    changes: bool = False  # the request changed rows


def expected(cell: Cell) -> Outcome | None:
    """Return the outcome, or None if the rules do not cover the cell."""
    spec, is_key = cell.spec, cell.caller in KEYS
    if cell.caller == "read_only_key" and spec.method not in ("GET", "OPTIONS"):
        return Outcome(READ_ONLY)
    if not is_key and not _covers_session(cell):
        return None
    if is_key and spec.always:
        return Outcome(spec.always)
    # An anonymous caller has no row to move to the target, so the row in the URL is 404 (S7.4).
    if cell.is_accessible:
        return Outcome((spec.success,), shows=spec.shows, changes=spec.writes)
    return Outcome(spec.missing if spec.missing and cell.target == "missing" else spec.otherwise)


def _covers_session(cell: Cell) -> bool:
    # The row in the URL is checked for every limited caller, also if the handler forgets the account in the body.
    if cell.operation == "transfer" and cell.caller == "anonymous":
        return True
    return cell.spec.sessions and not (cell.spec.undone and cell.is_accessible)


def cells() -> list[Cell]:
    every = [Cell(*names, caller, target) for names, caller, target in product(SPECS, CALLERS, TARGETS)]
    return [cell for cell in every if expected(cell)]


def indistinguishable() -> list[tuple[str, str, str]]:
    """Return the operations, variants and callers whose inaccessible targets all give the same response (S4)."""
    return sorted(
        {
            (cell.operation, cell.variant, cell.caller)
            for cell in cells()
            if cell.spec.same and not (cell.caller in KEYS and cell.spec.always)
        }
    )
