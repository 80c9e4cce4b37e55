"""``ScopedFilterBackend``: filters of django-filter keep to the rows of the caller."""

import uuid

import pytest
from django_filters import AllValuesFilter, FilterSet, ModelChoiceFilter, ModelMultipleChoiceFilter
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIRequestFactory

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.filters import ScopedFilterBackend
from finta_keys.scoping import AccountScopeMixin
from tests.factories import TransactionFactory

pytestmark = pytest.mark.rule("S7.7")


class TransactionSerializer(ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["summary"]


class TransactionFilter(FilterSet):
    callable = ModelChoiceFilter(field_name="account", queryset=lambda request: Account.objects.all())
    several = ModelMultipleChoiceFilter(field_name="account", queryset=Account.objects.all())
    summary = AllValuesFilter()

    class Meta:
        model = Transaction
        fields = ["account", "provider"]


class TransactionList(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    queryset = Transaction.objects.order_by("summary")
    serializer_class = TransactionSerializer
    account_path = "account"
    filter_backends = [ScopedFilterBackend]
    filterset_class = TransactionFilter


@pytest.fixture
def rows(accounts, bobs_account):
    for account, summary in ((accounts.checking, "Mine"), (accounts.savings, "Hidden"), (bobs_account, "Foreign")):
        TransactionFactory(account=account, summary=summary)


def get(caller, **query):
    request = APIRequestFactory().get("/", query)
    if isinstance(caller, str):
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {caller}"
    else:
        request.user = caller
    response = TransactionList.as_view()(request)
    return response.status_code, response.render().content


@pytest.mark.rule("S4")
@pytest.mark.parametrize("name", ["account", "callable", "several"])
def test_hidden_account_is_like_a_missing_one(name, rows, restricted, accounts, bobs_account):
    assert get(restricted.secret, **{name: accounts.checking.pk}) == (200, b'[{"summary":"Mine"}]')
    bodies = {
        get(restricted.secret, **{name: pk})[1].replace(str(pk).encode(), b"ID")
        for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4())
    }
    assert len(bodies) == 1
    assert get(restricted.secret, **{name: accounts.savings.pk})[0] == 400


@pytest.mark.rule("S4")
def test_values_of_hidden_rows_are_unknown(rows, restricted):
    assert get(restricted.secret, summary="Mine")[0] == 200
    responses = [get(restricted.secret, summary=name) for name in ("Hidden", "Foreign", "Missing")]
    assert {status for status, _ in responses} == {400}


def test_people_filter_by_their_accounts(rows, alice, accounts, bobs_account):
    assert get(alice, account=accounts.savings.pk) == (200, b'[{"summary":"Hidden"}]')
    assert get(alice, account=bobs_account.pk)[0] == 400
