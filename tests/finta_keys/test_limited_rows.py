"""Rows of limited querysets are shown without another query."""

import pytest
from django.db import connection
from django.db.models import Count, Q
from django.db.models.expressions import Col
from django.test.utils import CaptureQueriesContext
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.limited_rows import are_limited
from finta_keys.models import ApiKey
from finta_keys.request_state import RequestState
from finta_keys.scoping import AccountScopeMixin
from finta_keys.testing import make_key
from tests.factories import TransactionFactory
from tests.finta_keys.calls import make_request
from tests.finta_keys.extra_models import Note, extra_tables  # noqa: F401  # a fixture

pytestmark = pytest.mark.rule("S7.6")


class TransactionSerializer(ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["summary"]


class Transactions(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication]
    account_path = "account"
    queryset = Transaction.objects.order_by("summary")
    serializer_class = TransactionSerializer

    def show(self, rows):
        return Response(self.get_serializer(rows, many=True).data)


class ByPage(PageNumberPagination):
    page_size = 2


class ByCursor(CursorPagination):
    page_size = 2
    ordering = "-summary"


class ByOffset(LimitOffsetPagination):
    default_limit = 2


class OwnPage(ByPage):
    def get_paginated_response(self, data):
        return Response({"items": data})


class OverridesPage(ByPage):
    def paginate_queryset(self, queryset, request, view=None):
        return super().paginate_queryset(queryset, request, view)


class Filters(Transactions):
    def get(self, request):
        return self.show(self.get_queryset().filter(Q(summary="b") | Q(summary="a")).exclude(amount=1)[:2])


class Annotates(Transactions):
    def get(self, request):
        rows = self.get_queryset().annotate(n=Count("account__transactions")).select_related("account").distinct()
        return self.show(rows.order_by("-n", "summary"))


class ByKey(Transactions):
    def get(self, request):
        return self.show(request.auth.scoped(Transaction.objects.filter(account__name="Checking"), "account"))


class Unites(Transactions):
    def get(self, request):
        rows = self.get_queryset().order_by()
        return self.show(rows.filter(summary="a").union(rows.filter(summary="b")))


class Searches(Transactions):
    filter_backends = [SearchFilter, OrderingFilter]
    search_fields = ["summary"]


class FirstHits(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return list(Transaction.objects.filter(account__name="Checking")[:3])


class ListOfHits(Transactions):
    filter_backends = [FirstHits]


class ScopedList(Transactions):
    def get_queryset(self):
        return list(self.scoped(Transaction.objects.order_by("summary")))


class Sorts(Transactions):
    def get(self, request):
        return self.show(sorted(self.get_queryset(), key=lambda row: row.summary))


class Subquery(Transactions):
    def get(self, request):
        self.get_queryset()
        return self.show(Transaction.objects.filter(account__in=self.request.auth.scoped(Account.objects.all())))


VIEWS = {  # with the queries after that of the key
    "list": (Transactions, {}, 1),
    "page": (Transactions, {"pagination_class": ByPage}, 2),
    "cursor": (Transactions, {"pagination_class": ByCursor}, 1),
    "offset": (Transactions, {"pagination_class": ByOffset}, 2),
    "own response": (Transactions, {"pagination_class": OwnPage}, 2),
    "filter": (Filters, {}, 1),
    "annotate": (Annotates, {}, 1),
    "key": (ByKey, {}, 1),
    "union": (Unites, {}, 1),
    "search": (Searches, {}, 1),
    "search page": (Searches, {"pagination_class": ByPage}, 2),
    "hits": (ListOfHits, {}, 2),
    "page of hits": (ListOfHits, {"pagination_class": ByPage}, 2),
    "scoped list": (ScopedList, {}, 1),
    "page of scoped list": (ScopedList, {"pagination_class": ByPage}, 1),
    # The handler has made another list of them, or the filter is another one.
    "sorted": (Sorts, {}, 2),
    "own paginator": (Transactions, {"pagination_class": OverridesPage}, 3),
    "subquery": (Subquery, {}, 2),
}


@pytest.mark.parametrize(("view", "options", "queries"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("name", ["restricted", "unrestricted"])
def test_shown_list_costs_no_query(request, accounts, view, options, queries, name):
    key = request.getfixturevalue(name)
    for summary in "abc":
        TransactionFactory(account=accounts.checking, summary=summary)
    respond = view.as_view(**options)
    assert respond(make_request(key.secret)).status_code == 200  # fills caches
    with CaptureQueriesContext(connection) as executed:
        response = respond(make_request(key.secret))
    assert (response.status_code, len(executed) - 1) == (200, queries)


CHANGES = {
    "append": lambda rows, row: rows.append(row),
    "insert": lambda rows, row: rows.insert(0, row),
    "extend": lambda rows, row: rows.extend([row]),
    "replace": lambda rows, row: rows.__setitem__(0, row),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    ("base", "pagination_class"),
    [
        (Transactions, ByPage),
        (Transactions, ByOffset),
        (Transactions, ByCursor),
        (ScopedList, None),
        (ListOfHits, None),
    ],
)
def test_list_that_was_changed_is_checked_again(restricted, accounts, base, pagination_class, change):
    """Such as by a row that is always on top of the first page."""

    class Pins(base):
        row = None

        def list(self, request):
            rows = self.filter_queryset(self.get_queryset())
            rows = rows if pagination_class is None else self.paginate_queryset(rows)
            change(rows, self.row)
            return self.show(rows)

    TransactionFactory(account=accounts.checking)
    for account, status in ((accounts.savings, 404), (accounts.checking, 200)):
        respond = Pins.as_view(pagination_class=pagination_class, row=TransactionFactory(account=account))
        assert respond(make_request(restricted.secret)).status_code == status


def state_of_key(key):
    return RequestState(key=ApiKey.objects.get(pk=key.key.pk))


@pytest.mark.parametrize("name", ["restricted", "unrestricted"])
def test_other_filters_are_not_those_of_key(request, alice, bob, accounts, name):
    state = state_of_key(request.getfixturevalue(name))
    other, _ = make_key(alice, "Other", [accounts.savings])
    bobs, _ = make_key(bob, "Bob's")
    rows = state.key.scoped(Transaction.objects.all(), "account")
    assert are_limited(state, rows)
    assert are_limited(state, rows.filter(summary="a") & Transaction.objects.filter(amount=1))
    negated = rows.all()
    negated.query.where.negate()
    by_another_column = state.key.scoped(Transaction.objects.all(), "account")
    for child in by_another_column.query.where.children:
        child.lhs = Col(child.lhs.alias, Account._meta.get_field("name"))
    for unlimited in (
        negated,
        by_another_column,
        (Transaction.objects.filter(amount=1) | Transaction.objects.filter(amount=2)) | rows,
        Transaction.objects.filter(account__owner__gte=alice.pk),
        Transaction.objects.all(),
        Transaction.objects.filter(account__name="Checking"),
        rows | Transaction.objects.all(),
        rows.order_by().union(Transaction.objects.order_by()),
        Transaction.objects.exclude(pk__in=rows),
        bobs.scoped(Transaction.objects.all(), "account"),
        Transaction.objects.filter(~Q(account__owner=alice.pk)),
        Transaction.objects.filter(Q(account__owner=alice.pk) | Q(amount=1)),
        Transaction.objects.raw("SELECT * FROM accounts_app_transaction"),
        list(rows),
    ):
        assert not are_limited(state, unlimited)
    assert not are_limited(RequestState(), rows)
    assert are_limited(state, other.scoped(Transaction.objects.all(), "account")) == (name == "unrestricted")
    by_owner = Transaction.objects.filter(account__owner=alice.pk)
    assert are_limited(state, by_owner) == (name == "unrestricted")


@pytest.mark.usefixtures("extra_tables")
def test_each_path_to_the_account_counts(unrestricted, alice):
    state = state_of_key(unrestricted)
    for path in ("account", "transaction__account"):
        assert are_limited(state, state.key.scoped(Note.objects.all(), path))
    # The account of a label: the same table and column, by another join.
    of_labels = {"labels__account__owner": alice.pk}
    assert not are_limited(state, Note.objects.filter(**of_labels))
    assert not are_limited(state, Note.objects.filter(account__name="Checking").filter(**of_labels))
