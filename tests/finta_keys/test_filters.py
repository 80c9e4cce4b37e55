"""``ScopedFilterBackend``: filters of django-filter keep to the rows of the caller."""

import json
import uuid

import pytest
from django import forms
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_filters import (
    AllValuesFilter,
    CharFilter,
    Filter,
    FilterSet,
    LookupChoiceFilter,
    ModelChoiceFilter,
    ModelMultipleChoiceFilter,
)
from django_filters.fields import ModelChoiceField, ModelMultipleChoiceField
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
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


class UsesForm(TransactionFilter):
    """Uses its form, and changes it, before the backend gets the filterset."""

    free = CharFilter(method="ignore")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.form.fields["account"].queryset = Account.objects.all()
        self.form.fields["several"].label = "Accounts"
        self.was_valid = self.is_valid()
        self.count = self.qs.count() if self.was_valid else 0

    def ignore(self, queryset, name, value):
        return queryset


class RemovesFields(TransactionFilter):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        del self.form.fields["summary"]


class RowFilter(Filter):
    field_class = forms.ModelChoiceField


class PartsField(forms.MultiValueField):
    """Its widget has no parts."""

    def compress(self, data_list):
        return None


class PartsFilter(Filter):
    field_class = PartsField


class AddsField(TransactionFilter):
    plain = RowFilter(field_name="account", queryset=Account.objects.all())
    parts = PartsFilter(method="ignore", fields=[forms.CharField()])


FILTERSETS = [TransactionFilter, UsesForm, RemovesFields, AddsField]


@pytest.fixture
def rows(accounts, bobs_account):
    for account, summary in ((accounts.checking, "Mine"), (accounts.savings, "Hidden"), (bobs_account, "Foreign")):
        TransactionFactory(account=account, summary=summary)


def get(caller, filterset_class=TransactionFilter, **query):
    request = APIRequestFactory().get("/", query)
    if isinstance(caller, str):
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {caller}"
    else:
        request.user = caller
    response = TransactionList.as_view(filterset_class=filterset_class)(request)
    return response.status_code, response.render().content


@pytest.mark.rule("S4")
@pytest.mark.parametrize("filterset", FILTERSETS)
@pytest.mark.parametrize("name", ["account", "callable", "several"])
def test_hidden_account_is_like_a_missing_one(name, filterset, rows, restricted, accounts, bobs_account):
    assert get(restricted.secret, filterset, **{name: accounts.checking.pk}) == (200, b'[{"summary":"Mine"}]')
    values = (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed", "\0")
    responses = {get(restricted.secret, filterset, **{name: value}) for value in values}
    assert len(responses) == 1
    assert responses.pop()[0] == 400


@pytest.mark.rule("S4")
def test_form_field_for_rows_is_limited(rows, restricted, accounts):
    assert get(restricted.secret, AddsField, plain=accounts.checking.pk)[0] == 200
    hidden, missing = (get(restricted.secret, AddsField, plain=pk) for pk in (accounts.savings.pk, uuid.uuid4()))
    assert hidden == missing
    assert hidden[0] == 400


def test_filterset_may_remove_fields(rows, restricted):
    assert get(restricted.secret, RemovesFields, summary="Hidden") == (200, b'[{"summary":"Mine"}]')


@pytest.mark.rule("S4")
@pytest.mark.parametrize("filterset", [TransactionFilter, UsesForm])
def test_values_of_hidden_rows_are_unknown(filterset, rows, restricted):
    assert get(restricted.secret, filterset, summary="Mine")[0] == 200
    responses = {get(restricted.secret, filterset, summary=name) for name in ("Hidden", "Foreign", "Missing")}
    assert len(responses) == 1
    assert responses.pop()[0] == 400


class WithOptions(TransactionFilter):
    several = ModelMultipleChoiceFilter(
        field_name="account", queryset=Account.objects.all(), error_messages={"invalid_choice": "No such account."}
    )
    callable = ModelChoiceFilter(queryset=Account.objects.all(), required=True)


def test_filter_keeps_its_messages(restricted, accounts):
    _, body = get(restricted.secret, WithOptions, several=accounts.savings.pk)
    assert json.loads(body) == {"several": ["No such account."], "callable": ["This field is required."]}


class GroupFilter(FilterSet):
    groups = ModelMultipleChoiceFilter(method="ignore", queryset=Group.objects.all())

    def ignore(self, queryset, name, value):
        return queryset


@pytest.mark.rule("S4")
def test_too_large_number_names_no_row(restricted, settings):
    settings.FINTA_KEYS_SHARED_MODELS = ["auth.Group"]
    assert get(restricted.secret, GroupFilter, groups=10**30) == get(restricted.secret, GroupFilter, groups=999)


class AccountByName(ModelChoiceField):
    """Looks an account up by the manager, not in its queryset."""

    def to_python(self, value):
        if value in self.empty_values:
            return None
        try:
            return Account.objects.get(name=value)
        except Account.DoesNotExist:
            raise forms.ValidationError("No such account.") from None


class AccountsByName(ModelMultipleChoiceField):
    def _check_values(self, value):
        accounts = Account.objects.filter(name__in=value)
        if accounts.count() < len(value):
            raise forms.ValidationError("No such account.")
        return accounts


class OwnFields(FilterSet):
    one = type("OneFilter", (ModelChoiceFilter,), {"field_class": AccountByName})(
        field_name="account", queryset=Account.objects.all()
    )
    needed = type("NeededFilter", (ModelChoiceFilter,), {"field_class": AccountByName})(
        field_name="account", queryset=Account.objects.all(), required=True
    )
    several = type("SeveralFilter", (ModelMultipleChoiceFilter,), {"field_class": AccountsByName})(
        field_name="account", queryset=Account.objects.all()
    )


@pytest.mark.rule("S4")
@pytest.mark.parametrize("name", ["one", "several"])
def test_own_form_field_names_no_hidden_row(name, rows, restricted, alice, accounts, bobs_account):
    for caller, hidden in ((restricted.secret, "Savings"), (alice, bobs_account.name)):
        assert get(caller, OwnFields, needed="Checking", **{name: "Checking"}) == (200, b'[{"summary":"Mine"}]')
        responses = []
        for value in (hidden, "Missing", "\0"):
            with CaptureQueriesContext(connection) as queries:
                responses.append((get(caller, OwnFields, needed="Checking", **{name: value}), len(queries)))
        assert responses[0] == responses[1] == responses[2]
        assert responses[0][0][0] == 400


def test_own_form_field_keeps_its_required_error(rows, restricted):
    assert get(restricted.secret, OwnFields) == (400, b'{"needed":["This field is required."]}')


class LookupRow(FilterSet):
    account = LookupChoiceFilter(
        field_class=forms.ModelChoiceField, lookup_choices=["exact"], queryset=Account.objects.all()
    )


@pytest.mark.rule("S4")
def test_form_of_lookup_offers_visible_rows(restricted, accounts):
    class ShowsForm(TransactionList):
        def get(self, request):
            return Response(str(ScopedFilterBackend().get_filterset(request, self.get_queryset(), self).form))

    request = APIRequestFactory().get("/", headers={"authorization": f"Bearer {restricted.secret}"})
    form = ShowsForm.as_view(filterset_class=LookupRow)(request).data
    assert "Checking" in form
    assert "Savings" not in form


def test_people_filter_by_their_accounts(rows, alice, accounts, bobs_account):
    assert get(alice, account=accounts.savings.pk) == (200, b'[{"summary":"Hidden"}]')
    assert get(alice, account=bobs_account.pk)[0] == 400


def test_views_without_filters_pass(rows, restricted):
    assert get(restricted.secret, None, account="anything") == (200, b'[{"summary":"Mine"}]')


def test_view_without_the_mixin_filters_as_before(alice, rows, bobs_account):
    """As the default of a project, the backend changes nothing at views that do not open to keys."""

    class Closed(ListAPIView):
        queryset, serializer_class = Transaction.objects.all(), TransactionSerializer
        filter_backends, filterset_class = [ScopedFilterBackend], TransactionFilter

    request = APIRequestFactory().get("/", {"account": bobs_account.pk})
    request.user = alice
    assert [row["summary"] for row in Closed.as_view()(request).data] == ["Foreign"]
