"""Handlers that limit something, and show other rows by serializers."""

import weakref
from collections import ChainMap, UserDict, UserList, deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.http import JsonResponse
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.pagination import LimitOffsetPagination, PageNumberPagination
from rest_framework.response import Response
from rest_framework.serializers import CharField, ListSerializer, Serializer, SerializerMethodField
from rest_framework.views import APIView

from accounts_app.models import Account, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.responses import shown_rows
from finta_keys.scoping import AccountScopeMixin, unscoped
from tests.finta_keys.calls import call, make_request
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = pytest.mark.rule("S7.6")


class Keyed(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]


def shows(make_data, method="get", base=Keyed, **attributes):
    """A view that limits something else, and returns this."""

    def handler(self, request):
        self.scoped(Account.objects.all())
        return Response(make_data())

    return type("Shows", (base,), {method: handler, "__module__": __name__, **attributes})


def data_of(*rows):
    return [AccountSerializer(row).data for row in rows]


LISTS = {
    "queryset": lambda: Account.objects.order_by("name"),
    "slice": lambda: Account.objects.order_by("name")[:10],
    "list": lambda: list(Account.objects.order_by("name")),
    "tuple": lambda: tuple(Account.objects.order_by("name")),
    "manager": lambda: Account.objects,
    "union": lambda: (
        Account.objects.filter(name="Cash").order_by().union(Account.objects.filter(name="Savings").order_by())
    ),
    "owner": lambda: Account.objects.filter(owner__email="alice@example.com"),
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: {"results": data}], ids=["bare", "nested"])
@pytest.mark.parametrize("make_rows", LISTS.values(), ids=LISTS)
def test_list_of_hidden_rows_is_not_shown(restricted, accounts, method, wrap, make_rows):
    view = shows(lambda: wrap(AccountSerializer(make_rows(), many=True).data), method)
    assert call(view, restricted.secret, method).status_code == 404


CONTAINERS = {
    "tuple": lambda data: (data,),
    "dicts in a list": lambda data: [{"account": data}],
    "plain item first": lambda data: [{"total": 1}, {"account": data}],
    "plain dict first": lambda data: [1, data],
    "tuple in a dict": lambda data: {"accounts": (data,)},
    "lists in lists": lambda data: [[[data]]],
    "mapping": lambda data: MappingProxyType({"account": data}),
    "UserDict": lambda data: UserDict({"account": data}),
    "ChainMap": lambda data: ChainMap({}, {"account": data}),
    "UserList": lambda data: UserList([data]),
    "deque": lambda data: deque([data]),
    "values": lambda data: {"account": data}.values(),
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("wrap", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_do_not_hide_rows(restricted, accounts, method, wrap):
    for row, status in ((accounts.savings, 404), (accounts.checking, 200)):
        view = shows(lambda row=row: wrap(AccountSerializer(row).data), method)
        assert call(view, restricted.secret, method).status_code == status


def test_mapping_of_rows_does_not_hide_rows(restricted, accounts):

    class Summary(Serializer):
        accounts = AccountSerializer(many=True)
        best = AccountSerializer(required=False)

    for summary, status in (
        ({"accounts": Account.objects.all()}, 404),
        ({"accounts": [], "best": accounts.savings}, 404),
        ({"accounts": [accounts.checking], "best": accounts.checking, "numbers": [1]}, 200),
    ):
        assert call(shows(lambda summary=summary: Summary(summary).data), restricted.secret).status_code == status


@dataclass
class Summary:
    best: Any
    accounts: Any = ()
    parent: Any = None


class SummarySerializer(Serializer):
    best = AccountSerializer()
    accounts = AccountSerializer(many=True)


class ReportSerializer(Serializer):
    summary = SummarySerializer()


def with_parent(row):
    summary = Summary(None)
    summary.parent = Summary(row, parent=summary)
    return summary.parent


OBJECTS = {
    "dataclass": lambda row: SummarySerializer(Summary(row)),
    "list in a dataclass": lambda row: SummarySerializer(Summary(None, [row])),
    "list of dataclasses": lambda row: SummarySerializer([Summary(None), Summary(row)], many=True),
    "dataclass in a dict": lambda row: ReportSerializer({"summary": Summary(row)}),
    "cycle": lambda row: SummarySerializer(with_parent(row)),
    "manager in a dict": lambda row: SummarySerializer({"best": None, "accounts": row.owner.accounts}),
    "manager in a dataclass": lambda row: SummarySerializer(Summary(None, row.owner.accounts)),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_do_not_hide_rows(restricted, unrestricted, accounts, name):
    for key, row, status in ((restricted, accounts.savings, 404), (unrestricted, accounts.checking, 200)):
        view = shows(lambda row=row: OBJECTS[name](row).data)
        assert call(view, key.secret).status_code == status


def test_searched_dataclasses_are_kept(accounts):
    """Otherwise a new one could get the id of another, and would count as searched."""
    made = []

    class Summaries:
        def __iter__(self):
            for _ in range(3):
                summary = Summary(accounts.savings)
                made.append(weakref.ref(summary))
                yield summary
                del summary

    rows = shown_rows(SummarySerializer(Summaries(), many=True).data, lambda rows: False)
    made.clear()
    assert [next(rows) for _ in range(3)] == [accounts.savings] * 3
    assert all(summary() for summary in made)


class Requeries(PageNumberPagination):
    page_size = 10

    def paginate_queryset(self, queryset, request, view=None):
        return super().paginate_queryset(Account.objects.order_by("name"), request, view)


class Listed(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer


def test_pagination_class_that_queries_again(restricted, accounts):
    assert call(Listed, restricted.secret, pagination_class=Requeries).status_code == 404


class PaginatesAll(Listed):
    pagination_class = LimitOffsetPagination

    def paginate_queryset(self, queryset):
        return super().paginate_queryset(Account.objects.order_by("name"))


class PaginatesByHand(Listed):
    pagination_class = LimitOffsetPagination

    def list(self, request):
        self.get_queryset()
        page = self.paginate_queryset(Account.objects.order_by("name"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


@pytest.mark.parametrize("view", [PaginatesAll, PaginatesByHand])
def test_page_of_another_queryset_is_not_shown(restricted, accounts, view, settings):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "PAGE_SIZE": 10}
    assert call(view, restricted.secret, data={"limit": 10}).status_code in (200, 404)
    request = make_request(restricted.secret)
    request.GET = {"limit": "10"}
    assert view.as_view()(request).status_code == 404


class FinalizesWithList(Listed):
    def finalize_response(self, request, response, *args, **kwargs):
        response.data = {"all": AccountSerializer(Account.objects.all(), many=True).data}
        return super().finalize_response(request, response, *args, **kwargs)


class DispatchesWithList(Listed):
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response.data.append(AccountSerializer(Account.objects.get(name="Savings")).data)
        return response


class HandlesWithList(Listed):
    def list(self, request):
        raise LookupError

    def handle_exception(self, exc):
        return Response(AccountSerializer(Account.objects.get(name="Savings")).data)


@pytest.mark.parametrize("view", [FinalizesWithList, DispatchesWithList, HandlesWithList])
def test_rows_added_after_the_handler_are_checked(restricted, accounts, view):
    assert call(view, restricted.secret).status_code == 404


def test_rows_added_by_async_dispatch_are_checked(restricted, accounts):
    class Dispatches(Listed):
        row = None

        async def dispatch(self, request, *args, **kwargs):
            response = await sync_to_async(super().dispatch)(request, *args, **kwargs)
            response.data.append(AccountSerializer(self.row).data)
            return response

    async def run(row):
        return await call(Dispatches, restricted.secret, row=row)

    for row, status in ((accounts.savings, 404), (accounts.checking, 200)):
        assert async_to_sync(run)(row).status_code == status


class AddsValue(Listed):
    def list(self, request):
        data = AccountSerializer(self.get_queryset().first()).data
        data["other"] = [AccountSerializer(Account.objects.get(name="Savings")).data]
        return Response(data)


class AddsItem(Listed):
    def list(self, request):
        data = self.get_serializer(self.get_queryset(), many=True).data
        data.append(AccountSerializer(Account.objects.get(name="Savings")).data)
        return Response(data)


class AddsValueToItems(Listed):
    def list(self, request):
        data = self.get_serializer(self.get_queryset(), many=True).data
        for item in data:
            item["others"] = [AccountSerializer(Account.objects.get(name="Savings")).data]
        return Response(data)


class ErrorWithRow(Listed):
    """The detail of an exception keeps the serializer."""

    def list(self, request):
        self.get_queryset()
        serializer = AccountSerializer(Account.objects.get(name="Savings"), data={})
        serializer.is_valid()
        raise ValidationError(serializer.errors)


class ErrorHandlerWithRow(Listed):
    def list(self, request):
        self.get_queryset()
        raise NotFound

    def get_exception_handler(self):
        return lambda exc, context: Response(AccountSerializer(Account.objects.get(name="Savings")).data)


@pytest.mark.parametrize("view", [AddsValue, AddsItem, AddsValueToItems, ErrorWithRow, ErrorHandlerWithRow])
def test_rows_next_to_those_of_fields(restricted, accounts, view):
    response = call(view, restricted.secret)
    assert response.status_code == 404
    assert response.data == {"detail": "Not found."}


class OtherList(ListSerializer):
    def to_representation(self, data):
        return super().to_representation(data.iterator())


def test_list_serializer_of_the_project(restricted, accounts):
    view = shows(lambda: OtherList(Account.objects.all(), child=AccountSerializer()).data)
    assert call(view, restricted.secret).status_code == 404


def test_iterator_in_the_response_is_not_emptied(restricted):
    view = shows(lambda: {"numbers": iter([1, 2])})
    assert list(call(view, restricted.secret).data["numbers"]) == [1, 2]


def test_queryset_that_was_not_evaluated_is_not_loaded(restricted, accounts, django_assert_num_queries):
    class Summary(Serializer):
        name = CharField()

    view = shows(lambda: Summary({"name": "x", "accounts": Account.objects.all()}).data)
    with django_assert_num_queries(1):  # that of the key
        assert call(view, restricted.secret).data == {"name": "x"}


ROWS = {
    "row": lambda: Account.objects.get(name="Savings"),
    "rows": lambda: list(Account.objects.all()),
    "queryset": lambda: Account.objects.all(),
    "dataclass": lambda: Summary(Account.objects.get(name="Savings")),
    "list of dataclasses": lambda: [Summary(Account.objects.get(name="Savings"))],
    "serializer": lambda: AccountSerializer(Account.objects.get(name="Savings")),
    "serializer of a list": lambda: AccountSerializer(Account.objects.all(), many=True),
}


@pytest.mark.parametrize("make_rows", ROWS.values(), ids=ROWS)
def test_rows_for_a_template(restricted, accounts, make_rows):
    view = shows(lambda: {"rows": make_rows()})
    assert call(view, restricted.secret).status_code == 404


@pytest.mark.parametrize("pagination_class", [None, LimitOffsetPagination])
def test_limited_rows_for_a_template_cost_no_query(restricted, accounts, pagination_class, django_assert_num_queries):
    class ForTemplate(Listed):
        def list(self, request):
            rows = self.filter_queryset(self.get_queryset())
            return Response({"rows": rows if pagination_class is None else self.paginate_queryset(rows)})

    request = make_request(restricted.secret)
    request.GET = {"limit": "2"}
    respond = ForTemplate.as_view(pagination_class=pagination_class)
    with django_assert_num_queries(2 if pagination_class is None else 3):  # the key, perhaps the count, and the rows
        assert [row.name for row in respond(request).data["rows"]] == ["Checking"]


def test_saved_row_is_shown_without_a_query(restricted, accounts):
    class Saves(Keyed):
        def post(self, request):
            self.scoped(Account.objects.all())
            accounts.checking.save()
            return Response()

        def put(self, request):
            self.post(request)
            return Response(AccountSerializer(accounts.checking).data)

    numbers = []
    for method in ("post", "put"):
        with CaptureQueriesContext(connection) as executed:
            assert call(Saves, restricted.secret, method).status_code == 200
        numbers.append(len(executed))
    assert numbers[0] == numbers[1]


def test_queryset_of_rows_without_account_is_not_loaded(restricted, django_assert_num_queries):
    view = shows(lambda: {"users": User.objects.all()})
    with django_assert_num_queries(1):  # that of the key
        assert call(view, restricted.secret).status_code == 200


class FirstOnly(ListSerializer):
    def to_representation(self, data):
        return [self.child.to_representation(next(data))]


def test_iterator_of_rows_is_not_read_further(restricted, accounts):
    rows = iter([accounts.checking, accounts.cash])
    assert call(shows(lambda: FirstOnly(rows, child=AccountSerializer()).data), restricted.secret).status_code == 200
    assert next(rows) == accounts.cash


FIELDS = pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: rows inside the fields of a serializer.")


@FIELDS
def test_row_inside_a_field(restricted, accounts):
    class Nested(Serializer):
        other = SerializerMethodField()

        def get_other(self, instance):
            return AccountSerializer(Account.objects.get(name="Savings")).data

    assert call(shows(lambda: Nested({}).data), restricted.secret).status_code == 404


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: a copy does not name its serializer.")
@pytest.mark.parametrize("copy", [dict, lambda data: {**data}], ids=["dict", "unpacked"])
def test_copied_data(restricted, accounts, copy):
    view = shows(lambda: copy(AccountSerializer(accounts.savings).data))
    assert call(view, restricted.secret).status_code == 404


PARTS = {
    "item": lambda data: data[0],
    "slice": lambda data: data[:1],
    "sum": lambda data: data + data[:0],
    "field": lambda data: {**data[0], "name": data[0]},
}


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: a part does not name its serializer.")
@pytest.mark.parametrize("make_part", PARTS.values(), ids=PARTS)
def test_part_of_data(restricted, accounts, make_part):
    view = shows(lambda: make_part(AccountSerializer([accounts.savings], many=True).data))
    assert call(view, restricted.secret).status_code == 404


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: a response of Django has no data.")
def test_data_in_a_response_of_django(restricted, accounts):
    class ShowsJson(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            return JsonResponse(AccountSerializer(accounts.savings).data)

    assert call(ShowsJson, restricted.secret).status_code == 404


class MutatesQueryset(Listed):
    def list(self, request):
        self.queryset = Account.objects.filter(name="Savings")
        type(self).queryset = Account.objects.all()
        return super().list(request)


def test_changed_queryset_is_limited(restricted, accounts):
    assert call(MutatesQueryset, restricted.secret).data == []


def test_swapped_auth_changes_no_scope(restricted, unrestricted, accounts):
    class Swaps(Listed):
        def list(self, request):
            request.auth = unrestricted.key
            return super().list(request)

    assert [row["name"] for row in call(Swaps, restricted.secret).data] == ["Checking"]


class Finalizes(Listed):
    def finalize_response(self, request, response, *args, **kwargs):
        return super().finalize_response(request, response, *args, **kwargs)


def test_marked_handler_may_show_rows_after_finalize_response(restricted, accounts):
    class Marked(Finalizes):
        @unscoped("anyone may see the names")
        def get(self, request):
            return Response(AccountSerializer(Account.objects.order_by("name"), many=True).data)

    assert len(call(Marked, restricted.secret).data) == 3


def test_row_of_the_url_is_checked_once(restricted, accounts, django_assert_num_queries):
    """An unsafe handler of the project gets another instance of the row."""

    class Reads(Finalizes):
        def patch(self, request, pk):
            return Response(self.get_serializer(self.get_object()).data)

    def patch():
        return call(Reads, restricted.secret, "patch", kwargs={"pk": accounts.checking.pk})

    patch()
    savepoints = 2
    with django_assert_num_queries(3 + savepoints):  # the key, the row of the URL, and that of get_object()
        assert patch().data["name"] == "Checking"
