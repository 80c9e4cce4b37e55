"""Twenty more views, serializers and filters of ordinary projects: mistakes must not leak, correct code must work."""

import json
import uuid
from datetime import date
from types import SimpleNamespace

import django_filters
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.test.utils import CaptureQueriesContext
from rest_framework import filters, generics, pagination, permissions, serializers, status, views, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.response import Response
from rest_framework.validators import UniqueValidator

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.filters import ScopedFilterBackend
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin
from finta_keys.testing import comparable_parts
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call

WORD = "Zanzibar"  # in every name and text that the key must not see
MISSING = uuid.UUID(int=7)
OUTSIDE = ("hidden", "foreign", "missing")


@pytest.fixture
def rows(restricted, accounts, bobs_account):
    """An account and its transaction: visible, hidden, foreign and missing."""
    Account.objects.filter(pk=accounts.savings.pk).update(name=f"{WORD} savings", mask="7001")
    Account.objects.filter(pk=bobs_account.pk).update(name=f"{WORD} of Bob", mask="7002")
    result = {"missing": SimpleNamespace(pk=str(MISSING), account=str(MISSING), name="Nothing", ref="ref-missing")}
    targets = {"visible": accounts.checking, "hidden": accounts.savings, "foreign": bobs_account}
    for target, account in targets.items():
        summary = "Lunch" if target == "visible" else f"{WORD} {target}"
        row = TransactionFactory(account=account, provider_id=f"ref-{target}", summary=summary)
        account.refresh_from_db()
        result[target] = SimpleNamespace(
            pk=str(row.pk), account=str(account.pk), name=account.name, ref=f"ref-{target}"
        )
    return result


def columns(**fields):
    return {
        "provider": "manual",
        "provider_id": str(uuid.uuid4()),
        "summary": "New",
        "amount": "1.00",
        "currency": "USD",
        "posted_date": date(2026, 1, 1),
        **fields,
    }


def everything():
    return {model: {row["id"]: row for row in model.objects.values()} for model in (Account, Transaction)}


def send(view, secret=None, method="get", data=None, kwargs=None, user=None):
    """Return the status, body and headers of a response, and the number of queries."""
    with CaptureQueriesContext(connection) as queries:
        try:
            response = call(view, secret, method, data, kwargs=kwargs, user=user)
            if hasattr(response, "render"):
                response.render()
            parts = comparable_parts(response)
        except ImproperlyConfigured as error:
            parts = ("ImproperlyConfigured", str(error).encode(), {})
    return (*parts, len(queries))


def ok(view, **request):
    """Send a request that must succeed, and return its data."""
    code, body, _, _ = send(view, **request)
    assert code in (200, 201, 204), (code, body)
    return json.loads(body) if body else None


def check_rejected(view, restricted, rows, make_request, names=OUTSIDE, parts=4):
    """Send one request for each row outside the scope: nothing leaks, changes or differs.

    ``parts`` are compared: the status, the body, the headers and the number of queries.
    """
    before = everything()
    send(view, restricted.secret, **make_request(rows["missing"]))  # fills caches
    answers = {name: send(view, restricted.secret, **make_request(rows[name])) for name in names}
    assert everything() == before, answers
    for name, answer in answers.items():
        assert WORD not in str(answer), answers
        assert rows[name].pk not in str(answer[2]), answers
        assert answer[0] == "ImproperlyConfigured" or answer[0] >= 400, answers
    assert len({str(answer[:parts]) for answer in answers.values()}) == 1, answers
    return answers["hidden"]


class Open(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [permissions.IsAuthenticated]


class PlainSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["id", "summary", "amount"]


class OfTransactions(Open):
    account_path = "account"
    queryset = Transaction.objects.order_by("summary", "pk")
    serializer_class = PlainSerializer


# Ten views: five with a mistake, five correct.


class ReferenceRedirect(OfTransactions, views.APIView):
    """Mistake: looks the row up among all, and redirects to it."""

    def get(self, request):
        row = get_object_or_404(Transaction, provider_id=request.query_params["ref"])
        return HttpResponseRedirect(f"/transactions/{row.pk}")


class AssignColumn(OfTransactions, generics.GenericAPIView):
    """Mistake: assigns the column from the body."""

    def patch(self, request, pk):
        row = self.get_object()
        row.account_id = request.data["account"]
        row.save(update_fields=["account"])
        return Response(self.get_serializer(row).data)


class MoveByCopy(OfTransactions, generics.GenericAPIView):
    """Mistake: deletes first, then creates the copy in the account of the body."""

    def post(self, request, pk):
        old = self.get_object()
        values = {f.attname: getattr(old, f.attname) for f in Transaction._meta.concrete_fields if not f.generated}
        old.delete()
        with transaction.atomic():
            new = Transaction.objects.create(**{**values, "id": uuid.uuid4(), "account_id": request.data["account"]})
        return Response({"id": new.pk}, status=status.HTTP_201_CREATED)


class CreateFromQuery(OfTransactions, generics.ListCreateAPIView):
    """Mistake: ``perform_create()`` saves the account of the query, without a look-up."""

    class CreateSerializer(serializers.ModelSerializer):
        class Meta:
            model = Transaction
            fields = ["provider", "provider_id", "summary", "amount", "currency", "posted_date"]

    serializer_class = CreateSerializer

    def perform_create(self, serializer):
        serializer.save(account_id=self.request.data["for"])


class OrSearch(OfTransactions, viewsets.ReadOnlyModelViewSet):
    """Mistake: joins the rows of the user with all that match the search."""

    def get_queryset(self):
        own = Transaction.objects.filter(account__owner=self.request.user)
        found = Transaction.objects.filter(summary__icontains=self.request.query_params.get("q", ""))
        return (own | found).distinct().order_by("summary")


class SeveralFields(OfTransactions, generics.RetrieveUpdateDestroyAPIView):
    """Correct: looks up by several fields, as the documents of Django REST framework show."""

    lookup_fields = ["account__name", "provider_id"]

    def get_object(self):
        queryset = self.filter_queryset(self.get_queryset())
        fields = {name: self.kwargs[name] for name in self.lookup_fields if self.kwargs.get(name)}
        row = get_object_or_404(queryset, **fields)
        self.check_object_permissions(self.request, row)
        return row


class Accounts(Open, viewsets.ReadOnlyModelViewSet):
    """Correct: actions of a viewset with their own serializers and pages."""

    class Pages(pagination.PageNumberPagination):
        page_size = 1

    class AccountSerializer(serializers.ModelSerializer):
        class Meta:
            model = Account
            fields = ["id", "name"]

    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    pagination_class = Pages

    @action(detail=True, serializer_class=PlainSerializer)
    def statement(self, request, pk=None):
        page = self.paginate_queryset(self.get_object().transactions.order_by("pk"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @action(detail=True, methods=["post"])
    def rename(self, request, pk=None):
        account = self.get_object()
        serializer = self.get_serializer(account, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)

    @action(detail=False)
    def totals(self, request):
        accounts = self.filter_queryset(self.get_queryset())
        return Response(accounts.aggregate(total=Sum("current_balance")))


@scoped_view()
@api_view(["GET", "PATCH", "DELETE"])
@authentication_classes([ApiKeyAuthentication, SessionAuthentication])
@permission_classes([permissions.IsAuthenticated])
def transaction_detail(request, pk):
    """Correct: a function view of one row."""
    row = get_object_or_404(scoped(request, Transaction.objects.all(), "account"), pk=pk)
    if request.method == "DELETE":
        row.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)
    if request.method == "PATCH":
        serializer = PlainSerializer(row, data=request.data, partial=True)
        if not serializer.is_valid():
            return Response(serializer.errors, status=status.HTTP_400_BAD_REQUEST)
        serializer.save()
    return Response(PlainSerializer(row).data)


class SoftDelete(OfTransactions, viewsets.ModelViewSet):
    """Correct: marks rows as deleted, and has other serializers to write than to read."""

    class WriteSerializer(ScopedModelSerializer):
        class Meta:
            model = Transaction
            fields = ["account", "provider", "provider_id", "summary", "amount", "currency", "posted_date"]

    def get_queryset(self):
        return super().get_queryset().exclude(status="deleted")

    def get_serializer_class(self):
        return self.WriteSerializer if self.action in ("create", "update", "partial_update") else PlainSerializer

    def create(self, request, *args, **kwargs):
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.perform_create(serializer)
        return Response(PlainSerializer(serializer.instance).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance):
        instance.status = "deleted"
        instance.save(update_fields=["status"])


class BulkDelete(OfTransactions, views.APIView):
    """Correct: all rows of the body, or none."""

    def post(self, request):
        ids = set(request.data["ids"])
        found = self.scoped(Transaction.objects.filter(pk__in=ids))
        if found.count() != len(ids):
            raise Http404
        return Response({"updated": found.update(status="deleted")})


def test_redirect_to_row_found_by_hand(restricted, rows):
    answer = check_rejected(ReferenceRedirect, restricted, rows, lambda row: {"data": {"ref": row.ref}})
    assert answer[0] == "ImproperlyConfigured"


def test_column_is_assigned(restricted, rows, alice):
    kwargs = {"pk": rows["visible"].pk}
    check_rejected(
        AssignColumn,
        restricted,
        rows,
        lambda row: {"method": "patch", "data": {"account": row.account}, "kwargs": kwargs},
    )
    request = {"method": "patch", "kwargs": kwargs}
    ok(AssignColumn, secret=restricted.secret, data={"account": rows["visible"].account}, **request)
    ok(AssignColumn, user=alice, data={"account": rows["hidden"].account}, **request)


def test_move_deletes_first(restricted, rows, alice):
    request = {"method": "post", "kwargs": {"pk": rows["visible"].pk}}
    check_rejected(MoveByCopy, restricted, rows, lambda row: {"data": {"account": row.account}, **request})
    new = ok(MoveByCopy, secret=restricted.secret, data={"account": rows["visible"].account}, **request)
    request["kwargs"] = {"pk": new["id"]}
    ok(MoveByCopy, user=alice, data={"account": rows["hidden"].account}, **request)


@pytest.mark.parametrize("reference", ["new", "taken"])
def test_perform_create_names_account(restricted, rows, alice, reference):
    def new(row, reference="new"):
        provider_id = row.ref if reference == "taken" else "new"
        return {"method": "post", "data": columns(provider_id=provider_id, **{"for": row.account})}

    # A duplicate is found by the INSERT, and a missing account after it, with another number of queries.
    check_rejected(CreateFromQuery, restricted, rows, lambda row: new(row, reference), parts=3 + (reference == "new"))
    ok(CreateFromQuery, secret=restricted.secret, **new(rows["visible"]))
    ok(CreateFromQuery, user=alice, **new(rows["hidden"]))


def test_search_joined_by_or(restricted, rows, alice):
    detail = OrSearch.as_view({"get": "retrieve"})
    check_rejected(detail, restricted, rows, lambda row: {"kwargs": {"pk": row.pk}})
    listed = OrSearch.as_view({"get": "list"})
    for query in ({}, {"q": WORD}, {"q": "Lunch"}):
        found = ok(listed, secret=restricted.secret, data=query)
        assert [row["summary"] for row in found] == ["Lunch"]
        found = ok(listed, user=alice, data=query)
        assert [row["summary"] for row in found] == ["Lunch", f"{WORD} hidden"]
    assert send(detail, user=alice, kwargs={"pk": rows["foreign"].pk})[0] == 404


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete", "post"])
def test_look_up_by_several_fields(restricted, rows, alice, method):
    def request(row):
        data = {"summary": "Dinner", "amount": "2.00"} if method in ("put", "patch", "post") else None
        return {"method": method, "data": data, "kwargs": {"account__name": row.name, "provider_id": row.ref}}

    check_rejected(SeveralFields, restricted, rows, request)
    if method != "post":
        ok(SeveralFields, secret=restricted.secret, **request(rows["visible"]))
        ok(SeveralFields, user=alice, **request(rows["hidden"]))
        assert send(SeveralFields, user=alice, **request(rows["foreign"]))[0] == 404


def test_actions_of_accounts(restricted, rows, alice):
    statement = Accounts.as_view({"get": "statement"}, detail=True, serializer_class=PlainSerializer)
    rename = Accounts.as_view({"post": "rename"}, detail=True)
    totals = Accounts.as_view({"get": "totals"}, detail=False)

    def of(row, **options):
        return {"kwargs": {"pk": row.account}, **options}

    check_rejected(statement, restricted, rows, of)
    check_rejected(rename, restricted, rows, lambda row: of(row, method="post", data={"name": "Other"}))
    page = ok(statement, secret=restricted.secret, **of(rows["visible"]))
    assert (page["count"], page["results"][0]["summary"]) == (1, "Lunch")
    assert ok(statement, user=alice, **of(rows["hidden"]))["count"] == 1
    assert ok(totals, secret=restricted.secret)["total"] == 100.25
    assert ok(totals, user=alice)["total"] == 300.75
    for caller in ({"secret": restricted.secret}, {"user": alice}):
        assert ok(rename, **caller, **of(rows["visible"], method="post", data={"name": "Main"}))["name"] == "Main"


def test_function_of_one_row(restricted, rows, alice):
    for method, data in (
        ("get", None),
        ("patch", {"summary": "Dinner"}),
        ("patch", {"amount": "no"}),
        ("delete", None),
    ):
        request = {"method": method, "data": data}
        check_rejected(transaction_detail, restricted, rows, lambda row, r=request: {"kwargs": {"pk": row.pk}, **r})
    for caller in ({"secret": restricted.secret}, {"user": alice}):
        kwargs = {"pk": rows["visible"].pk}
        patched = ok(transaction_detail, method="patch", data={"summary": "Dinner"}, kwargs=kwargs, **caller)
        assert patched["summary"] == "Dinner"
        assert send(transaction_detail, method="patch", data={"amount": "no"}, kwargs=kwargs, **caller)[0] == 400
    assert send(transaction_detail, user=alice, kwargs={"pk": rows["foreign"].pk})[0] == 404
    ok(transaction_detail, user=alice, method="delete", kwargs={"pk": rows["hidden"].pk})
    ok(transaction_detail, secret=restricted.secret, method="delete", kwargs=kwargs)


def test_soft_delete(restricted, rows, alice):
    detail = SoftDelete.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
    listed = SoftDelete.as_view({"get": "list", "post": "create"})
    for method, data in (("get", None), ("patch", {"summary": "Dinner"}), ("delete", None)):
        request = {"method": method, "data": data}
        check_rejected(detail, restricted, rows, lambda row, r=request: {"kwargs": {"pk": row.pk}, **r})
    kwargs = {"pk": rows["visible"].pk}

    def move(row):
        return {"method": "patch", "data": {"account": row.account}, "kwargs": kwargs}

    def new(row):
        return {"method": "post", "data": columns(account=row.account, provider_id=row.ref)}

    check_rejected(detail, restricted, rows, move)
    check_rejected(listed, restricted, rows, new)
    assert send(listed, restricted.secret, **new(rows["visible"]))[0] == 400  # a duplicate
    ok(listed, secret=restricted.secret, method="post", data=columns(account=rows["visible"].account))
    ok(listed, user=alice, method="post", data=columns(account=rows["hidden"].account))
    ok(detail, secret=restricted.secret, method="delete", kwargs=kwargs)
    assert send(detail, restricted.secret, kwargs=kwargs)[0] == 404
    assert [row["summary"] for row in ok(listed, secret=restricted.secret)] == ["New"]
    ok(detail, user=alice, method="delete", kwargs={"pk": rows["hidden"].pk})
    assert Transaction.objects.get(pk=rows["visible"].pk).status == "deleted"


def test_bulk_delete(restricted, rows, alice):
    for others in ([], [rows["visible"].pk]):
        check_rejected(
            BulkDelete, restricted, rows, lambda row, o=others: {"method": "post", "data": {"ids": [*o, row.pk]}}
        )
    data = {"ids": [rows["visible"].pk]}
    assert ok(BulkDelete, secret=restricted.secret, method="post", data=data) == {"updated": 1}
    data = {"ids": [rows["visible"].pk, rows["hidden"].pk]}
    assert ok(BulkDelete, user=alice, method="post", data=data) == {"updated": 2}
    assert send(BulkDelete, user=alice, method="post", data={"ids": [rows["foreign"].pk]})[0] == 404


# Ten serializers and filters: six with a mistake, four correct.


class TransactionSerializer(ScopedModelSerializer):
    class Meta:
        model = Transaction
        fields = ["id", "account", "provider", "provider_id", "summary", "amount", "currency", "posted_date"]


class WithoutContext(OfTransactions, views.APIView):
    """Mistake: the serializer gets no context, and so no request."""

    def post(self, request):
        serializer = TransactionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)


class ColumnSerializer(ScopedModelSerializer):
    """Mistake: the account is a column, no relation."""

    account_id = serializers.UUIDField()

    class Meta:
        model = Transaction
        fields = ["id", "account_id", "provider", "provider_id", "summary", "amount", "currency", "posted_date"]


class CreatableAccountField(serializers.SlugRelatedField):
    def to_internal_value(self, data):
        defaults = {"owner": self.context["request"].user, "type": "cash", "currency": "USD", "current_balance": 0}
        return self.get_queryset().get_or_create(**{self.slug_field: data}, defaults=defaults)[0]


class CreatableSerializer(TransactionSerializer):
    """Mistake: an account with an unknown name is created, whether or not the key may."""

    account = CreatableAccountField(slug_field="name", queryset=Account.objects.all())


class LatestAccount:
    requires_context = True

    def __call__(self, field):
        return Account.objects.order_by("-created_at").first()


class DefaultSerializer(TransactionSerializer):
    """Mistake: the default is the latest account of all users."""

    account = serializers.HiddenField(default=LatestAccount())


class Hits(filters.BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        words = request.query_params.get("q", "")
        hits = Transaction.objects.filter(Q(summary__icontains=words) | Q(account__name__icontains=words))
        return hits.order_by("summary", "pk")[:20]


class Search(OfTransactions, generics.ListAPIView):
    """Mistake: the filter backend returns the first hits among all rows."""

    filter_backends = [Hits]


class TransactionFilter(django_filters.FilterSet):
    account = django_filters.ModelChoiceFilter(queryset=Account.objects.all())

    class Meta:
        model = Transaction
        fields = ["account", "status"]


class FilteredByHand(OfTransactions, generics.GenericAPIView):
    """Mistake: the handler makes the filterset, without ``ScopedFilterBackend``."""

    def get(self, request):
        filterset = TransactionFilter(request.query_params, queryset=self.get_queryset(), request=request)
        if not filterset.is_valid():
            return Response(filterset.errors, status=status.HTTP_400_BAD_REQUEST)
        return Response(self.get_serializer(filterset.qs, many=True).data)


class PairSerializer(TransactionSerializer):
    """Correct: one field writes the account, another shows it."""

    class AccountSerializer(serializers.ModelSerializer):
        class Meta:
            model = Account
            fields = ["id", "name"]

    account = AccountSerializer(read_only=True)
    account_id = serializers.PrimaryKeyRelatedField(
        source="account", queryset=Account.objects.all(), write_only=True, pk_field=serializers.UUIDField(format="hex")
    )

    class Meta(TransactionSerializer.Meta):
        fields = [*TransactionSerializer.Meta.fields, "account_id"]


class LineSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField()

    class Meta:
        model = Transaction
        fields = ["id", "summary"]


class LinesSerializer(ScopedSerializerMixin, serializers.ModelSerializer):
    """Correct: changes the lines of an account, and rejects lines of others."""

    transactions = LineSerializer(many=True)

    class Meta:
        model = Account
        fields = ["id", "name", "transactions"]

    def update(self, instance, validated_data):
        lines = validated_data.pop("transactions", [])
        instance = super().update(instance, validated_data)
        existing = {line.pk: line for line in instance.transactions.all()}
        for fields in lines:
            line = existing.get(fields["id"])
            if line is None:
                raise serializers.ValidationError({"transactions": "Unknown line."})
            line.summary = fields["summary"]
            line.save(update_fields=["summary"])
        return instance


class SwappingSerializer(TransactionSerializer):
    """Correct: the account is shown as an object; references are unique among all rows that the caller sees."""

    provider_id = serializers.CharField(validators=[UniqueValidator(queryset=Transaction.objects.all())])

    def to_representation(self, instance):
        self.fields["account"] = PairSerializer.AccountSerializer(read_only=True)
        return super().to_representation(instance)


def accounts_of(request):
    return Account.objects.filter(owner=request.user)


class OwnFilter(django_filters.FilterSet):
    """Correct: several accounts of the user, a range of dates, and an order."""

    account = django_filters.ModelMultipleChoiceFilter(queryset=accounts_of)
    posted = django_filters.DateFromToRangeFilter(field_name="posted_date")
    text = django_filters.CharFilter(method="find")
    order = django_filters.OrderingFilter(fields=["summary", "amount"])

    class Meta:
        model = Transaction
        fields = ["account", "posted", "text", "order"]

    def find(self, queryset, name, value):
        return queryset.filter(Q(summary__icontains=value) | Q(account__name__icontains=value))


class Filtered(OfTransactions, generics.ListAPIView):
    filter_backends = [ScopedFilterBackend]
    filterset_class = OwnFilter


def creating(serializer):
    return type("Create", (OfTransactions, generics.ListCreateAPIView), {"serializer_class": serializer})


def changing(serializer):
    return type("Change", (OfTransactions, generics.RetrieveUpdateAPIView), {"serializer_class": serializer})


def test_serializer_without_context(restricted, rows, alice):
    def new(row):
        return {"method": "post", "data": columns(account=row.account, provider_id="fixed")}

    ok(WithoutContext, user=alice, **new(rows["hidden"]))
    ok(WithoutContext, secret=restricted.secret, **new(rows["visible"]))
    Transaction.objects.filter(provider_id="fixed").delete()
    check_rejected(WithoutContext, restricted, rows, new)


@pytest.mark.parametrize("reference", ["new", "taken"])
@pytest.mark.parametrize("method", ["post", "patch"])
def test_account_is_a_column(restricted, rows, alice, method, reference):
    view = creating(ColumnSerializer) if method == "post" else changing(ColumnSerializer)
    kwargs = {"pk": rows["visible"].pk} if method == "patch" else {}

    def save(row, reference="new"):
        provider_id = row.ref if reference == "taken" else "new"
        return {"method": method, "data": columns(account_id=row.account, provider_id=provider_id), "kwargs": kwargs}

    check_rejected(view, restricted, rows, lambda row: save(row, reference), parts=3 + (reference == "new"))
    ok(view, secret=restricted.secret, **save(rows["visible"]))
    ok(view, user=alice, **save(rows["hidden"]))


def test_field_creates_accounts(restricted, rows, alice):
    view = creating(CreatableSerializer)

    def new(row):
        return {"method": "post", "data": columns(account=row.name, provider_id="fixed")}

    check_rejected(view, restricted, rows, new)
    ok(view, secret=restricted.secret, **new(rows["visible"]))
    ok(view, user=alice, **new(rows["hidden"]))
    before = Account.objects.count()
    ok(view, user=alice, **new(rows["foreign"]))
    assert Account.objects.count() == before + 1
    assert Account.objects.latest("created_at").owner == alice


def test_default_is_a_hidden_account(restricted, rows, alice):
    view = creating(DefaultSerializer)
    request = {"method": "post", "data": columns(provider_id="fixed")}
    answers = []
    for name in ("hidden", "foreign"):
        latest = Account.objects.latest("created_at").created_at
        Account.objects.filter(pk=rows[name].account).update(created_at=latest.replace(year=latest.year + 1))
        answers.append(check_rejected(view, restricted, rows, lambda row: request))
    assert answers[0] == answers[1]
    latest = Account.objects.latest("created_at").created_at
    Account.objects.filter(pk=rows["visible"].account).update(created_at=latest.replace(year=latest.year + 1))
    ok(view, secret=restricted.secret, **request)
    Transaction.objects.filter(provider_id="fixed").delete()
    ok(view, user=alice, **request)


COUNTED = pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: leaving out hidden hits costs queries.")


@pytest.mark.parametrize("parts", [pytest.param(3, id="response"), pytest.param(4, id="queries", marks=COUNTED)])
def test_backend_returns_first_hits(restricted, rows, alice, parts):
    words = (WORD, f"{WORD} hidden", f"{WORD} foreign", "nothing")
    send(Search, restricted.secret, data={"q": "nothing"})  # fills caches
    answers = [send(Search, restricted.secret, data={"q": query}) for query in words]
    assert WORD not in str(answers)
    assert len({str(answer[:parts]) for answer in answers}) == 1, answers
    assert answers[0][:2] == (200, b"[]")
    assert [row["summary"] for row in ok(Search, secret=restricted.secret, data={"q": "Lunch"})] == ["Lunch"]
    assert [row["summary"] for row in ok(Search, user=alice)] == ["Lunch", f"{WORD} hidden"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: the handler makes its own filterset.")
def test_filterset_made_by_handler(restricted, rows, alice):
    check_rejected(FilteredByHand, restricted, rows, lambda row: {"data": {"account": row.account}})


def test_filterset_made_by_handler_shows_own_rows(restricted, rows, alice):
    assert len(ok(FilteredByHand, secret=restricted.secret, data={"account": rows["visible"].account})) == 1
    assert len(ok(FilteredByHand, user=alice, data={"account": rows["hidden"].account})) == 1


def test_pair_of_fields(restricted, rows, alice):
    create, change = creating(PairSerializer), changing(PairSerializer)
    kwargs = {"pk": rows["visible"].pk}

    def new(row):
        return {
            "method": "post",
            "data": columns(account_id=row.account.replace("-", ""), provider_id=f"new {row.ref}"),
        }

    def move(row):
        return {"method": "patch", "data": {"account_id": row.account}, "kwargs": kwargs}

    check_rejected(create, restricted, rows, lambda row: {**new(row), "data": {**new(row)["data"], "provider_id": "x"}})
    check_rejected(change, restricted, rows, move)
    assert ok(create, secret=restricted.secret, **new(rows["visible"]))["account"]["name"] == "Checking"
    assert ok(create, user=alice, **new(rows["hidden"]))["account"]["name"] == rows["hidden"].name
    assert send(create, user=alice, **new(rows["foreign"]))[0] == 400
    ok(change, secret=restricted.secret, **move(rows["visible"]))
    ok(change, user=alice, **move(rows["hidden"]))


def test_nested_lines(restricted, rows, alice):
    class Change(Open, generics.RetrieveUpdateAPIView):
        queryset = Account.objects.all()
        serializer_class = LinesSerializer

    kwargs = {"pk": rows["visible"].account}

    def edit(*lines):
        data = {"name": "Edited", "transactions": [{"id": row.pk, "summary": "Dinner"} for row in lines]}
        return {"method": "patch", "data": data, "kwargs": kwargs}

    check_rejected(Change, restricted, rows, edit)
    check_rejected(Change, restricted, rows, lambda row: edit(rows["visible"], row))
    for caller in ({"secret": restricted.secret}, {"user": alice}):
        edited = ok(Change, **caller, **edit(rows["visible"]))
        assert edited["transactions"] == [{"id": rows["visible"].pk, "summary": "Dinner"}]


def test_representation_replaces_field(restricted, rows, alice):
    view = creating(SwappingSerializer)

    def new(row, reference="fixed"):
        return {"method": "post", "data": columns(account=row.account, provider_id=reference)}

    check_rejected(view, restricted, rows, new)
    check_rejected(view, restricted, rows, lambda row: new(row, "ref-visible"))
    visible = rows["visible"]
    answers = [
        send(view, restricted.secret, **new(visible, reference)) for reference in ("ref-hidden", "ref-foreign", "x")
    ]
    assert {(answer[0], answer[3]) for answer in answers} == {(201, answers[0][3])}, answers
    assert json.loads(answers[0][1])["account"]["name"] == "Checking"
    assert send(view, restricted.secret, **new(visible, "ref-visible"))[0] == 400
    ok(view, user=alice, **new(rows["hidden"], "y"))
    assert [row["account"]["name"] for row in ok(view, secret=restricted.secret)] == ["Checking"] * 4


def test_filterset_of_the_user(restricted, rows, alice):
    check = {
        "account": lambda row: {"data": {"account": row.account}},
        "two": lambda row: {"data": {"account": [rows["visible"].account, row.account]}},
    }
    for make_request in check.values():
        before = everything()
        answers = []
        for name in OUTSIDE:
            code, body, headers, queries = send(Filtered, restricted.secret, **make_request(rows[name]))
            body = body.decode().replace(rows[name].account, "PK")
            headers = {header: value for header, value in headers.items() if header != "content-length"}
            answers.append((code, body, str(headers), queries))
        assert everything() == before
        assert WORD not in str(answers)
        assert len(set(answers)) == 1, answers
        assert answers[0][0] == 400
    for query in ({}, {"text": "Lunch"}, {"account": rows["visible"].account}, {"posted_after": "2026-01-01"}):
        found = ok(Filtered, secret=restricted.secret, data={**query, "order": "-summary"})
        assert [row["summary"] for row in found] == ["Lunch"]
    assert ok(Filtered, secret=restricted.secret, data={"text": WORD}) == []
    found = ok(Filtered, user=alice, data={"account": [rows["visible"].account, rows["hidden"].account]})
    assert len(found) == 2
    assert len(ok(Filtered, user=alice, data={"text": WORD})) == 1
    assert send(Filtered, user=alice, data={"account": rows["foreign"].account})[0] == 400
