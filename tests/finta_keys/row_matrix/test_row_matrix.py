"""Which rows a caller can read and change: each cell of ``table.py`` as one request."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.client import ClientHandler
from django.test.utils import CaptureQueriesContext

from accounts_app.models import Account, Transaction, User
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory, UserFactory
from tests.finta_keys.row_matrix import table, urls

# The mark also rolls back each test, and the fixture ``world`` holds the transaction around all of them.
pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CELLS = table.cells()
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
MISSING = UUID("00000000-0000-4000-8000-000000000000")
# Rows are moved from the accounts of this user. An anonymous caller has none and tries another user's.
OWN = {"session_of_other": "foreign", "session_of_staff": "staff"}
LAST_USED_WRITTEN = ("list", "scoped")  # a request that writes the time of use, so that others do not


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    """Create users, accounts, rows, keys and sessions once."""
    with django_db_blocker.unblock(), override_settings(ROOT_URLCONF=urls.__name__), transaction.atomic():
        yield _create_world()
        transaction.set_rollback(True)


def _create_world():
    users = {name: UserFactory(email=f"{name}@matrix.example") for name in ("alice", "bob", "staff")}
    User.objects.filter(pk=users["staff"].pk).update(is_staff=True, is_superuser=True)
    owners = {"visible": "alice", "hidden": "alice", "foreign": "bob", "staff": "staff"}
    accounts = {name: AccountFactory(owner=users[owner], name=name) for name, owner in owners.items()}
    rows, sources = {}, {}
    for name, account in accounts.items():
        rows[name] = TransactionFactory(account=account, provider_id=f"tx-{name}", summary=f"summary of {name}")
        sources[name] = TransactionFactory(account=account, provider_id=f"source-{name}", summary=f"source of {name}")
    TransactionFactory(account=accounts["foreign"], provider_id="tx-audit", summary="audit")
    secrets = {
        "restricted_key": make_key(users["alice"], "restricted", [accounts["visible"]])[1],
        "all_accounts_key": make_key(users["alice"], "all")[1],
        "read_only_key": make_key(users["alice"], "reader", [accounts["visible"]], read_only=True)[1],
    }
    sessions = {"session_of_owner": "alice", "session_of_other": "bob", "session_of_staff": "staff"}
    return SimpleNamespace(
        accounts={name: account.pk for name, account in accounts.items()} | {"missing": MISSING},
        rows={name: row.pk for name, row in rows.items()} | {"missing": MISSING},
        sources={name: row.pk for name, row in sources.items()},
        secrets=secrets,
        cookies={caller: _session_cookies(users[name]) for caller, name in sessions.items()},
        handler=_handler(),
        stored=stored(),
    )


def _session_cookies(user):
    client = Client()
    client.force_login(user)
    return client.cookies


def _handler():
    """Return a handler for clients with its middleware already loaded, which is slow."""
    handler = ClientHandler(enforce_csrf_checks=False)
    with override_settings(MIDDLEWARE=MIDDLEWARE):
        handler.load_middleware()
    return handler


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


def client_of(caller, world):
    secret = world.secrets.get(caller)
    client = Client(headers={"authorization": f"Bearer {secret}"} if secret else None, raise_request_exception=False)
    client.handler = world.handler
    if caller in world.cookies:
        client.cookies = world.cookies[caller].copy()
    return client


def send(cell, world):
    if cell.operation == "cached":
        _request(table.Cell(cell.operation, cell.variant, "session_of_owner", cell.target), world)
        _request(cell, world)
    return _request(cell, world)


def _request(cell, world):
    account, own = world.accounts[cell.target], OWN.get(cell.caller, "visible")
    source = world.sources[own]
    path = f"/{cell.operation}/{cell.variant}"
    name = urls.argument(cell.operation, cell.variant)
    if name:
        path += f"/{_argument(cell, world, name, source)}"
    data = {
        "account": str(world.accounts[own] if cell.operation == "theft" else account),
        "id": str(world.rows[cell.target]),
        "provider_id": f"tx-{cell.target}",
        "ids": [str(world.rows[cell.target])],
    }
    if (cell.operation, cell.variant) == ("bulk", "saves"):
        data["ids"].insert(0, str(source))
    client = client_of(cell.caller, world)
    if cell.spec.method == "GET":
        headers = {"If-None-Match": "*"} if cell.operation == "condition" else None
        return client.get(path, {"account": str(account)}, headers=headers)
    send_body = getattr(client, cell.spec.method.lower())
    return send_body(path, data, content_type="application/json")


def _argument(cell, world, name, source):
    if name == "account_pk":
        return world.accounts[cell.target]
    if cell.operation == "upsert":
        return f"tx-{cell.target}"
    return source if cell.operation == "transfer" else world.rows[cell.target]


def body_of(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


def text_of(response):
    return body_of(response).decode() + "".join(f"{name}: {value}\n" for name, value in response.headers.items())


def stored():
    """Return the stored rows and accounts."""
    rows = Transaction.objects.values_list("pk", "account_id", "provider_id", "summary", "status")
    accounts = Account.objects.values_list("pk", "pk", "owner_id", "name")
    return {*rows, *accounts}


def outside(stored_rows, accounts):
    return {row for row in stored_rows if row[1] not in accounts}


def _param(cell):
    return pytest.param(cell, id=str(cell), marks=pytest.mark.rule(cell.spec.rule))


@pytest.mark.parametrize("cell", [_param(cell) for cell in CELLS])
def test_row(cell, world):
    expected = table.expected(cell)
    own = {"staff"} if cell.caller == "session_of_staff" else set()
    reachable = {world.accounts[name] for name in table.VISIBLE[cell.caller] | own}
    response = send(cell, world)
    text = text_of(response)
    after = stored()
    assert response.status_code in expected.status
    if response.status_code == 500:
        assert response.exc_info[0] is ImproperlyConfigured
    assert (after != world.stored) is expected.changes
    if not cell.spec.saves_others:
        assert outside(after, reachable) == outside(world.stored, reachable)
    assert (f"summary of {cell.target}" in text) is expected.shows
    for name in set(world.rows) - table.VISIBLE[cell.caller] - {"staff"}:
        assert f"summary of {name}" not in text
        assert f"tx-{name}?" not in text  # the address of a redirect


@pytest.mark.rule("S4")
@pytest.mark.parametrize("names", table.indistinguishable(), ids="-".join)
def test_rows_out_of_reach_look_missing(names, world):
    client_of(names[2], world).get("/{}/{}".format(*LAST_USED_WRITTEN), {"account": str(MISSING)})
    responses = {}
    for target in table.TARGETS:
        cell = table.Cell(*names, target)
        if cell.is_accessible or (target == "missing" and cell.spec.missing):
            continue
        with CaptureQueriesContext(connection) as queries:
            response = send(cell, world)
        # The first request of a cached operation is the owner's, and its queries differ.
        count = 0 if cell.operation == "cached" else len(queries)
        responses[target] = (response.status_code, _neutral(text_of(response), world, target), count)
    assert len(responses) >= 2
    assert len(set(responses.values())) == 1, responses


def _neutral(text, world, target):
    """Return the text without the identifiers that the request itself contains."""
    lines = [line for line in text.splitlines() if not line.startswith(("Date:", "X-Request-Id:"))]
    return "\n".join(lines).replace(str(world.rows[target]), "ID").replace(str(world.accounts[target]), "ID")


def test_every_view_has_a_spec():
    assert set(urls.VIEWS) == set(table.SPECS)
