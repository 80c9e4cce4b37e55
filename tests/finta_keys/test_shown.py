"""The account of the row that a URL names."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db import models
from django.test.utils import isolate_apps
from rest_framework.generics import RetrieveAPIView
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.request_state import RequestState, state_of
from finta_keys.scoping import AccountScopeMixin
from finta_keys.shown import record_url_row
from tests.finta_keys.extra_models import Note

pytestmark = pytest.mark.rule("H2")

PK = UUID(int=1)

with isolate_apps("accounts_app"):

    class ByNumber(models.Model):
        """Its foreign key holds no primary keys."""

        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", to_field="provider_account_id")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return str(self.pk)


def shown(row, path="account"):
    state = RequestState()
    record_url_row(SimpleNamespace(account_path=path), state, row)
    return state.shown


def account(**columns):
    return Account(pk=PK, **columns)


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (account(), ""),
        (Transaction(account_id=PK), "account"),
        (Transaction(account_id=PK), "order__shop"),  # not a path from here: the shortest is used
        (Note(account_id=PK), "account"),
        (Note(transaction=Transaction(account_id=PK)), "transaction__account"),
        (ByNumber(account=account(provider_account_id="7")), "account"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_account_of_row_is_shown(row, path):
    assert shown(row, path) == {PK}


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (None, ""),
        ({"account": 1}, ""),
        (User(pk=1), ""),
        (Note(), "account"),
        (Note(transaction_id=PK), "transaction__account"),
        (ByNumber(account_id="7"), "account"),
        (Transaction.from_db("default", ["id"], [PK]), "account"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unknown_account_costs_no_query(row, path):
    """A query would fail: the test has no database."""
    assert shown(row, path) == set()


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_description_of_view_shows_nothing(restricted, accounts, method):
    class Show(AccountScopeMixin, RetrieveAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Account.objects.all()

        def retrieve(self, request, *args, **kwargs):
            return Response(str(self.get_object().pk))

        head = RetrieveAPIView.get

    request = getattr(APIRequestFactory(), method)("/", headers={"Authorization": f"Bearer {restricted.secret}"})
    assert Show.as_view()(request, pk=accounts.checking.pk).status_code == 200
    assert state_of(request).shown == (set() if method == "options" else {accounts.checking.pk})
