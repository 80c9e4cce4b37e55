"""Who may open which view: each cell of ``table.py`` as one request."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.test import Client, override_settings
from django.test.client import ClientHandler
from django.urls import reverse

from accounts_app.models import User
from finta_keys import secret
from finta_keys.testing import make_key
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys.access_matrix import table, urls, views

# The mark also rolls back each test, and the fixture ``world`` holds the transaction around all of them.
pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CELLS = table.cells()
BASE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
MIDDLEWARE = {
    "none": BASE,
    "reads_key": [*BASE, f"{views.__name__}.reads_key"],
    "signs_in_owner": [*BASE, f"{views.__name__}.signs_in_owner"],
}
EMAILS = {"alice": views.ALICE, "bob": "bob@matrix.example", "staff": "staff@matrix.example"}


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    """Create users, accounts, keys and sessions once: no request of these tests changes them."""
    with (
        django_db_blocker.unblock(),
        override_settings(ROOT_URLCONF=urls.__name__, SECURE_SSL_REDIRECT=False),
        transaction.atomic(),
    ):
        yield _create_world()
        transaction.set_rollback(True)


def _create_world():
    users = {name: UserFactory(email=email) for name, email in EMAILS.items()}
    User.objects.filter(email=EMAILS["staff"]).update(is_staff=True, is_superuser=True)
    visible = AccountFactory(owner=users["alice"], name="Visible")
    AccountFactory(owner=users["alice"], name="Hidden")
    AccountFactory(owner=users["bob"], name="Bob's")
    AccountFactory(owner=users["staff"], name="Staff's")
    secrets = {
        "all": make_key(users["alice"], "all")[1],
        "restricted": make_key(users["alice"], "restricted", [visible])[1],
        "malformed": "finta_malformed",
        "unknown": secret.generate(),
    }
    return SimpleNamespace(
        secrets=secrets,
        cookies={name: _session_cookies(user) for name, user in users.items()},
        handlers={name: _handler(middleware) for name, middleware in MIDDLEWARE.items()},
    )


def _session_cookies(user):
    client = Client()
    client.force_login(user)
    return client.cookies


def _handler(middleware):
    """Return a handler for clients with its middleware already loaded, which is slow."""
    handler = ClientHandler(enforce_csrf_checks=False)
    with override_settings(MIDDLEWARE=middleware):
        handler.load_middleware()
    return handler


def send(cell, world):
    credential = table.CREDENTIALS[cell.credential]
    token = world.secrets.get(credential.secret) or {
        "known": views.OTHER_TOKEN,
        "unknown": "a-token-that-no-library-knows",
    }.get(credential.other)
    client = Client(headers={"authorization": f"Bearer {token}"} if token else None)
    client.handler = world.handlers[cell.middleware]
    if credential.session:
        client.cookies = world.cookies[credential.session].copy()
    return (client.post if cell.view == "unmarked_handler" else client.get)(_path(cell))


def _path(cell):
    if cell.view == "page":
        return reverse("finta_keys:list")
    if cell.view == "admin":
        return reverse("admin:finta_keys_apikey_changelist")
    if cell.view in table.PLAIN:
        return f"/{cell.view}"
    name = "marked_handler" if cell.view == "unmarked_handler" else cell.view
    return f"/{cell.form}/{cell.lineup}/{name}"


def _param(cell):
    return pytest.param(cell, id=str(cell), marks=pytest.mark.rule(table.expected(cell).rule))


@pytest.mark.parametrize("cell", [_param(cell) for cell in CELLS])
def test_access(cell, world):
    expected = table.expected(cell)
    with urls.default_classes(cell.lineup) if cell.form == "default" else nullcontext():
        response = send(cell, world)
    assert response.status_code in expected.status
    assert response.get("WWW-Authenticate") == expected.challenge
    if expected.varies:
        assert "authorization" in response.get("Vary", "").lower()
    if expected.no_store is not None:
        assert ("no-store" in response.get("Cache-Control", "")) is expected.no_store
    if response.status_code == 200 and cell.view not in table.PAGES:
        _assert_body(response.json(), expected)


def _assert_body(body, expected):
    assert body["user"] == EMAILS.get(expected.user)
    assert body.get("key") == expected.key
    if expected.sees_header is not None:
        assert body["sees_header"] is expected.sees_header
    if expected.at_most:
        assert set(body["rows"]) <= set(expected.rows)
    elif expected.rows is not None:
        assert tuple(body["rows"]) == expected.rows


def test_no_cell_is_missing():
    """Each combination is there once."""
    assert len(set(CELLS)) == len(CELLS)
    assert {cell.credential for cell in CELLS} == set(table.CREDENTIALS)
    assert {cell.view for cell in CELLS} == set(
        table.OPEN_TO_KEYS + table.UNMARKED + table.PLAIN + table.PAGES,
    )
