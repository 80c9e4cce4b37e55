"""Views as ordinary projects write them: mistakes must not leak or change hidden rows, and correct code must work."""
# ruff: noqa: DJ008

import inspect
import json
import threading
import uuid
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.signals import request_finished
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.models import Count, F, Sum
from django.shortcuts import get_object_or_404
from django.test import AsyncClient, AsyncRequestFactory, Client
from django.test.utils import isolate_apps
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import generics, pagination, permissions, routers, serializers, views, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.response import Response
from rest_framework.urlpatterns import format_suffix_patterns

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.fields import AccountRelatedField
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view
from finta_keys.testing import comparable_parts
from tests.factories import TransactionFactory
from tests.finta_keys.tables import tables_of

SECRET_WORD = "Zanzibar"  # in every name and summary that the key must not see


with isolate_apps("accounts_app") as isolated:

    class Transfer(models.Model):
        source = models.ForeignKey(Account, models.CASCADE, related_name="+", db_constraint=False)
        target = models.ForeignKey(Account, models.CASCADE, related_name="+", null=True, db_constraint=False)
        memo = models.CharField(max_length=100)

        class Meta:
            app_label = "accounts_app"

    class Payment(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+", db_constraint=False)
        memo = models.CharField(max_length=100)

        class Meta:
            app_label = "accounts_app"

    class CardPayment(Payment):
        card = models.CharField(max_length=20)

        class Meta:
            app_label = "accounts_app"

    class Category(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+", db_constraint=False)
        parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")
        code = models.CharField(max_length=50, unique=True)

        class Meta:
            app_label = "accounts_app"

    isolated.do_pending_operations(Account)  # They wait for an account model of the isolated registry.


class ArchivedAccount(Account):
    class Meta:
        proxy = True
        app_label = "accounts_app"
        apps = Transfer._meta.apps


MODELS = (Transfer, Payment, CardPayment, Category)


_tables = tables_of(*MODELS)


class Base(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [permissions.IsAuthenticated]


class AccountSerializer(serializers.ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name", "current_balance"]


class TransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["id", "summary", "amount"]


class TransactionBase(Base):
    account_path = "account"
    queryset = Transaction.objects.order_by("pk")
    serializer_class = TransactionSerializer


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


# Views with mistakes


class OwnLookup(TransactionBase, generics.RetrieveUpdateDestroyAPIView):
    """Looks rows up without the queryset, as views with composite addresses do."""

    def get_object(self):
        row = get_object_or_404(Transaction, provider_id=self.kwargs["ref"])
        self.check_object_permissions(self.request, row)
        return row


# Correct views


class NestedPage(pagination.LimitOffsetPagination):
    default_limit = 2

    def get_paginated_response(self, data):
        return Response({"count": self.count, "rows": data}, headers={"X-Total-Count": str(self.count)})


class DeclaredTransactions(TransactionBase, viewsets.ModelViewSet):
    scoped_kwargs = {"account_pk": Account}
    pagination_class = NestedPage

    def get_queryset(self):
        return super().get_queryset().filter(account_id=self.kwargs["account_pk"]).select_related("account")

    def perform_create(self, serializer):
        serializer.save(**columns(account_id=self.kwargs["account_pk"], **serializer.validated_data))

    def perform_destroy(self, instance):
        instance.status = Transaction.Status.DELETED
        instance.save(update_fields=["status"])

    @action(detail=False)
    def stats(self, request, account_pk):
        return Response(self.get_queryset().aggregate(n=Count("pk"), total=Sum("amount")))

    @action(detail=True, methods=["post"])
    def split(self, request, account_pk, pk):
        row = self.get_object()
        with transaction.atomic():
            half = row.amount / 2
            row.amount = F("amount") - half
            row.save()
            Transaction.objects.create(**columns(account=row.account, amount=half))
        row.refresh_from_db()
        return Response(self.get_serializer(row).data, status=201)


class TransferSerializer(serializers.ModelSerializer):
    source, target = AccountRelatedField(), AccountRelatedField()

    class Meta:
        model = Transfer
        fields = ["id", "source", "target", "memo"]

    def validate(self, attrs):
        if attrs["source"] == attrs["target"]:
            raise serializers.ValidationError("Choose two accounts.")
        return attrs


class Transfers(viewsets.ModelViewSet, AccountScopeMixin):
    """The mixin after the view class, and limits of its own on both accounts."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [permissions.IsAuthenticated]
    account_path = "source"
    serializer_class = TransferSerializer
    done = []

    def get_queryset(self):
        return Transfer.objects.filter(target__in=scoped(self.request, Account.objects.all()))

    @transaction.atomic
    def perform_create(self, serializer):
        transfer = serializer.save()
        for account in scoped(self.request, Account.objects.select_for_update()).filter(
            pk__in=[transfer.source_id, transfer.target_id]
        ):
            account.current_balance = F("current_balance") + (1 if account.pk == transfer.target_id else -1)
            account.save(update_fields=["current_balance"])
        transaction.on_commit(lambda: self.done.append(transfer.pk))


class HasShareToken(permissions.BasePermission):
    def has_permission(self, request, view):
        return view.kwargs["token"] == "share-me"


class SharedTransactions(TransactionBase, generics.ListAPIView):
    permission_classes = [HasShareToken]
    scoped_kwargs = {"token": None}

    def unlimited_for(self, request):
        return self.kwargs["token"] == "share-me"


@csrf_exempt
@scoped_view()
@api_view(["GET", "POST"])
@authentication_classes([ApiKeyAuthentication])
@permission_classes([permissions.IsAuthenticated])
def account_list(request, format=None):
    if request.method == "POST":
        serializer = AccountSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            with transaction.atomic():
                with request.auth.locked() as key:
                    account = serializer.save(owner=request.user, type="cash", currency="USD")
                    key.add_to_scope(account)
                if request.data.get("fail"):
                    raise IntegrityError
        except IntegrityError:
            rows = scoped(request, Account.objects.all())
            return Response({"detail": "conflict", "n": rows.count()}, status=409)
        return Response(AccountSerializer(account).data, status=201)
    rows = scoped(request, Account.objects.annotate(n=Count("transactions")).prefetch_related("transactions"))
    return Response([{"name": row.name, "n": row.n} for row in rows])


router = routers.DefaultRouter()
router.register("declared/(?P<account_pk>[^/.]+)/transactions", DeclaredTransactions, basename="declared")
router.register("transfers", Transfers, basename="transfers")

urlpatterns = [
    path("own-lookup/<str:ref>", OwnLookup.as_view()),
    path("shared/<str:token>", SharedTransactions.as_view()),
    *format_suffix_patterns([path("accounts", account_list)]),
    path("", include(router.urls)),
]
pytestmark = [pytest.mark.thorough, pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _middleware(settings):
    """The site's own middleware rejects keys outside /v2."""
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]


@pytest.fixture
def rows(restricted, accounts, bobs_account):
    """Transactions of a visible, a hidden and a foreign account."""
    Account.objects.filter(pk=accounts.savings.pk).update(name=f"{SECRET_WORD} savings")
    Account.objects.filter(pk=bobs_account.pk).update(name=f"{SECRET_WORD} of Bob")
    targets = {"visible": accounts.checking, "hidden": accounts.savings, "foreign": bobs_account}
    return SimpleNamespace(
        **{
            target: TransactionFactory(
                account=account,
                provider_id=f"ref-{target}",
                summary="Lunch" if target == "visible" else f"{SECRET_WORD} {target}",
            )
            for target, account in targets.items()
        }
    )


def snapshot(*visible):
    """Every row outside the scope, of all the models here."""
    visible = {account.pk for account in visible}
    state = {}
    for model in (Account, Transaction, Payment, CardPayment, Category, Transfer):
        for row in model.objects.values():
            accounts_of_row = {row.get(name) for name in ("account_id", "source_id", "target_id")} - {None}
            if model is Account:
                accounts_of_row = {row["id"]}
            if not accounts_of_row or accounts_of_row - visible:
                state[model.__name__, row.get("id", row.get("payment_ptr_id"))] = row
    return state


MISSING = str(uuid.UUID(int=5))


def ask(client, method, url, data=None):
    return client.send(method, url, data)


def check_mistake(restricted, accounts, requests, same=True):
    """Send the same request for a hidden, a foreign and a missing row. Nothing may leak, change or differ."""
    before = snapshot(accounts.checking)
    answers = []
    for method, url, data in requests:
        response = ask(restricted.client, method, url, data)
        answer = comparable_parts(response)
        assert SECRET_WORD not in answer[1].decode() + json.dumps(answer[2]), (method, url, answer)
        assert snapshot(accounts.checking) == before, (method, url, answer)
        assert response.status_code >= 400 or not same, (method, url, answer)
        answers.append(answer)
    if same:
        assert all(answer == answers[0] for answer in answers), [(answer[:2]) for answer in answers]
    return answers


@pytest.mark.rule("S7.4")
@pytest.mark.parametrize(
    "method",
    [
        "PUT",
        "PATCH",
        "GET",
        "HEAD",
        "DELETE",
        "OPTIONS",
        "POST",
    ],
)
def test_own_get_object_forgets_scope(restricted, accounts, rows, method):
    data = {"summary": "x", "amount": 1} if method in ("PUT", "PATCH", "POST") else None
    requests = [(method, f"/own-lookup/ref-{target}", data) for target in ("hidden", "foreign", "missing")]
    check_mistake(restricted, accounts, requests)


def test_nested_viewset_works(restricted, accounts, rows, django_assert_num_queries):
    client, url = restricted.client, f"/declared/{accounts.checking.pk}/transactions/"
    created = ask(client, "POST", url, {"summary": "Tea", "amount": "4"})
    assert created.status_code == 201, created.content
    listed = ask(client, "GET", url)
    assert (listed.json()["count"], listed["X-Total-Count"]) == (2, "2")
    assert ask(client, "GET", url + "stats/").json()["n"] == 2
    pk = created.json()["id"]
    split = ask(client, "POST", f"{url}{pk}/split/")
    assert (split.status_code, split.json()["amount"]) == (201, "2.0000"), split.content
    assert ask(client, "PATCH", f"{url}{pk}/", {"summary": "Coffee"}).json()["summary"] == "Coffee"
    assert ask(client, "DELETE", f"{url}{pk}/").status_code == 204
    assert Transaction.objects.get(pk=pk).status == "deleted"
    assert ask(client, "HEAD", url).status_code == 200
    assert ask(client, "OPTIONS", f"{url}{pk}/").status_code == 200
    assert ask(client, "GET", url[:-1] + ".json").status_code == 200
    for method, suffix in (("GET", ""), ("GET", "stats/"), ("GET", f"{rows.visible.pk}/"), ("POST", "")):
        data = {"summary": "x", "amount": 1} if method != "GET" else None
        requests = [
            (method, f"/declared/{account}/transactions/{suffix}", data) for account in (accounts.savings.pk, MISSING)
        ]
        assert check_mistake(restricted, accounts, requests)[0][0] == 404


def test_transfers_with_two_foreign_keys(unrestricted, restricted, accounts, bobs_account, rows):
    own = {"source": str(accounts.checking.pk), "target": str(accounts.savings.pk), "memo": "Rent"}
    created = ask(unrestricted.client, "POST", "/transfers/", own)
    assert created.status_code == 201, created.content
    accounts.savings.refresh_from_db()
    assert accounts.savings.current_balance == Decimal("101.25")
    assert len(ask(unrestricted.client, "GET", "/transfers/").json()) == 1
    same = {**own, "target": own["source"]}
    assert ask(unrestricted.client, "POST", "/transfers/", same).status_code == 400
    pk = created.json()["id"]
    assert ask(unrestricted.client, "PATCH", f"/transfers/{pk}/", {**own, "memo": "x"}).json()["memo"] == "x"
    assert ask(restricted.client, "GET", "/transfers/").json() == []
    requests = [
        ("POST", "/transfers/", {**own, "target": str(target)})
        for target in (accounts.savings.pk, bobs_account.pk, MISSING)
    ]
    assert check_mistake(restricted, accounts, requests)[0][0] == 400
    requests = [(method, f"/transfers/{pk}/", own) for method in ("PUT", "PATCH", "DELETE")]
    assert check_mistake(restricted, accounts, requests)[0][0] == 404
    assert ask(unrestricted.client, "DELETE", f"/transfers/{pk}/").status_code == 204


def test_share_link(restricted, rows, bob):
    assert len(Client().get("/shared/share-me").json()) == 3
    assert len(ask(restricted.client, "GET", "/shared/share-me").json()) == 1
    assert Client().get("/shared/wrong").status_code in (401, 403)


def test_function_view_creates_accounts(restricted, accounts, rows):
    client = restricted.client
    created = ask(client, "POST", "/accounts.json", {"name": "New", "current_balance": "5"})
    assert created.status_code == 201, created.content
    failed = ask(client, "POST", "/accounts", {"name": "Fails", "current_balance": "5", "fail": True})
    assert (failed.status_code, failed.json()["n"]) == (409, 2), failed.content
    assert not Account.objects.filter(name="Fails").exists()
    assert ask(client, "POST", "/accounts", {"name": "Bad"}).status_code == 400
    listed = ask(client, "GET", "/accounts").json()
    assert sorted(listed, key=str) == [{"name": "Checking", "n": 1}, {"name": "New", "n": 0}]


# More views with mistakes


class PaymentBase(Base):
    account_path = "account"
    queryset = Payment.objects.order_by("pk")


class PaymentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Payment
        fields = ["id", "memo"]


def own_account(request):
    return scoped(request, Account.objects.all()).get()


class CardById(PaymentBase, generics.GenericAPIView):
    """The client chooses the number of a model that inherits its table."""

    def post(self, request):
        card = CardPayment(id=request.data["id"], account=own_account(request), memo="x", card="1")
        card.save()
        return Response({"id": card.pk}, status=201)


class CardByParent(PaymentBase, generics.GenericAPIView):
    """Make a payment a card payment."""

    def post(self, request):
        card = CardPayment(payment_ptr_id=request.data["id"], account=own_account(request), memo="x", card="1")
        card.save()
        return Response({"id": card.pk}, status=201)


class CardRaw(PaymentBase, generics.GenericAPIView):
    """The recipe that keeps the columns of the parent."""

    def post(self, request):
        own_account(request)
        parent = get_object_or_404(Payment, pk=request.data["id"])
        card = CardPayment(payment_ptr_id=parent.pk, card="1")
        card.__dict__.update({name: value for name, value in parent.__dict__.items() if name != "_state"})
        card.save_base(raw=True)
        return Response({"id": card.pk}, status=201)


class CardUpdate(PaymentBase, generics.GenericAPIView):
    """Sets every field of the body, among them ``id``."""

    def put(self, request):
        card = scoped(request, CardPayment.objects.all(), "account").get()
        for name, value in request.data.items():
            setattr(card, name, value)
        card.save()
        return Response({"id": card.pk})


class ProxySave(Base, views.APIView):
    def patch(self, request):
        row = get_object_or_404(ArchivedAccount, pk=request.data["id"])
        row.mask = "9999"
        row.save()
        return Response({"ok": self.scoped(Account.objects.all()).count()})


class CategoryCreate(Base, views.APIView):
    """The parent is a category of another account."""

    def post(self, request):
        parent = Category.objects.filter(code=request.data["parent"]).first()
        row = Category.objects.create(account=own_account(request), parent=parent, code=str(uuid.uuid4()))
        return Response({"path": f"{parent.code if parent else ''}/{row.code[:0]}"}, status=201)


class InitialSaves(TransactionBase, generics.GenericAPIView):
    """Notes each request on the row before the handler runs."""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        row = get_object_or_404(Transaction, pk=request.query_params["id"])
        row.check_number = "seen"
        row.save(update_fields=["check_number"])

    def post(self, request):
        return Response({"n": self.get_queryset().count()})


class FinalizeSaves(TransactionBase, generics.GenericAPIView):
    """Notes each request on the row after the handler."""

    def post(self, request, pk):
        return Response({"summary": self.get_object().summary})

    def finalize_response(self, request, response, *args, **kwargs):
        row = Transaction.objects.filter(pk=kwargs["pk"]).first()
        if row:
            row.check_number = "seen"
            row.save(update_fields=["check_number"])
        return super().finalize_response(request, response, *args, **kwargs)


class OnCommitSaves(TransactionBase, generics.GenericAPIView):
    """Writes the other side of a transfer when the first is committed."""

    def post(self, request):
        row = self.get_queryset().get()
        row.summary = "moved"
        row.save()
        transaction.on_commit(lambda: self.mirror(request.data["id"]))
        return Response({"ok": True})

    def mirror(self, pk):
        other = Transaction.objects.filter(pk=pk).first()
        if other:
            other.summary = "mirror"
            other.save()


class GetObjectSaves(TransactionBase, generics.DestroyAPIView):
    """Counts something scoped, then reads the row of the URL by hand."""

    def get_object(self):
        self.count = self.get_queryset().count()
        return get_object_or_404(Transaction, pk=self.kwargs["pk"])


class PatchOnly(TransactionBase, generics.UpdateAPIView):
    """Works for visible rows, and the save of any other is a 404."""

    def get_object(self):
        return get_object_or_404(Transaction, pk=self.kwargs["pk"])


class EagerDispatch(TransactionBase, generics.GenericAPIView):
    """dispatch() of its own, which takes the handler before initial() runs."""

    def dispatch(self, request, *args, **kwargs):
        self.args, self.kwargs = args, kwargs
        self.request = request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        handler = getattr(self, request.method.lower(), self.http_method_not_allowed)
        try:
            self.initial(request, *args, **kwargs)
            response = handler(request, *args, **kwargs)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(request, response, *args, **kwargs)
        return self.response

    def get(self, request):
        return Response(list(Transaction.objects.values_list("summary", flat=True)))

    def patch(self, request):
        Transaction.objects.get(pk=request.data["id"]).save()
        row = Transaction.objects.get(pk=request.data["id"])
        row.summary = "x"
        row.save()
        return Response(status=204)


class Me(views.APIView):
    """A view for people, closed to keys."""

    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [permissions.IsAuthenticated]

    def get(self, request):
        return Response([account.name for account in Account.objects.filter(owner=request.user)])


class MeSession(Me):
    authentication_classes = [SessionAuthentication]


class Batch(Base, views.APIView):
    """Calls other views with the same request."""

    inner = {}

    def get(self, request):
        view = self.inner[request.query_params["view"]]
        self.scoped(Account.objects.all())
        response = view(request._request)
        return Response({"status": response.status_code, "data": getattr(response, "data", None)})


class ForgetsInside(TransactionBase, views.APIView):
    def get(self, request):
        return Response([row.summary for row in Transaction.objects.all()])


class Actions(TransactionBase, viewsets.GenericViewSet):
    """``unlimited_for`` depends on the action."""

    permission_classes = []

    def unlimited_for(self, request):
        return self.action == "total"

    def list(self, request):
        return Response([row.summary for row in self.get_queryset()])

    def total(self, request):
        inner = Actions.as_view({"get": "list"})(request._request)
        return Response({"total": self.get_queryset().count(), "mine": inner.data})


Batch.inner = {
    "me": Me.as_view(),
    "me-session": MeSession.as_view(),
    "forgets": ForgetsInside.as_view(),
}


class Lazy(TransactionBase, generics.GenericAPIView):
    permission_classes = []

    def perform_authentication(self, request):
        pass

    def get(self, request):
        return Response([row.summary for row in Transaction.objects.all()])

    def patch(self, request):
        row = Transaction.objects.get(pk=request.data["id"])
        row.summary = "x"
        row.save()
        return Response(status=204)


class UpdateAfterSave(TransactionBase, generics.GenericAPIView):
    """Saves a visible row, then moves it by a query."""

    def post(self, request):
        row = self.get_queryset().get()
        row.save()
        Transaction.objects.filter(pk=row.pk).update(account_id=request.data["to"])
        return Response(status=204)


# More correct views


class PlainViewSet(Base, viewsets.ViewSet):
    """A ViewSet with attributes that permissions and routers read."""

    queryset = Account.objects.all()
    lookup_field = "pk"

    def retrieve(self, request, pk=None):
        account = get_object_or_404(self.scoped(self.queryset), pk=pk)
        return Response({"name": account.name})

    @action(detail=True)
    def mask(self, request, pk=None):
        return Response({"mask": get_object_or_404(self.scoped(self.queryset), pk=pk).mask})


class TransferDetail(Base, views.APIView):
    """Shows a transfer by its source, as lists do."""

    account_path = "source"

    def get(self, request, pk):
        row = get_object_or_404(self.scoped(Transfer.objects.all()), pk=pk)
        return Response(MemoSerializer(row).data)


class MemoSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transfer
        fields = ["id", "memo"]


class TransferRetrieve(Base, generics.RetrieveAPIView):
    account_path = "source"
    queryset = Transfer.objects.all()
    serializer_class = MemoSerializer


class Locked(TransactionBase, generics.UpdateAPIView):
    """Locks the row that it updates, as projects do for PostgreSQL."""

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.select_for_update() if self.request.method in ("PUT", "PATCH") else rows

    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)


class DryRun(TransactionBase, generics.GenericAPIView):
    """Shows what would happen, and undoes it."""

    def post(self, request):
        with transaction.atomic():
            row = self.get_queryset().get()
            row.summary = "dry"
            row.save()
            data = self.get_serializer(row).data
            transaction.set_rollback(True)
        return Response(data)


class AsyncView(TransactionBase, generics.GenericAPIView):
    """dispatch() as the package adrf has it."""

    view_is_async = True

    @classmethod
    def as_view(cls, **initkwargs):
        view = super().as_view(**initkwargs)

        async def async_view(*args, **kwargs):
            return await view(*args, **kwargs)

        async_view.cls = cls
        return csrf_exempt(async_view)

    async def dispatch(self, request, *args, **kwargs):
        self.args, self.kwargs = args, kwargs
        self.request = request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            await sync_to_async(self.initial)(request, *args, **kwargs)
            handler = getattr(self, request.method.lower(), self.http_method_not_allowed)
            if inspect.iscoroutinefunction(handler):
                response = await handler(request, *args, **kwargs)
            else:
                response = await sync_to_async(handler)(request, *args, **kwargs)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(request, response, *args, **kwargs)
        return self.response

    async def get(self, request):
        return Response([row.summary async for row in self.get_queryset()])


urlpatterns += [
    path("more/card-by-id", CardById.as_view()),
    path("more/card-by-parent", CardByParent.as_view()),
    path("more/card-raw", CardRaw.as_view()),
    path("more/card-update", CardUpdate.as_view()),
    path("more/proxy", ProxySave.as_view()),
    path("more/category", CategoryCreate.as_view()),
    path("more/initial", InitialSaves.as_view()),
    path("more/finalize/<str:pk>", FinalizeSaves.as_view()),
    path("more/on-commit", OnCommitSaves.as_view()),
    path("more/get-object/<str:pk>", GetObjectSaves.as_view()),
    path("more/patch-only/<str:pk>", PatchOnly.as_view()),
    path("more/eager", EagerDispatch.as_view()),
    path("more/me", Me.as_view()),
    path("more/batch", Batch.as_view()),
    path("more/actions", Actions.as_view({"get": "total"})),
    path("more/lazy", Lazy.as_view()),
    path("more/update-after", UpdateAfterSave.as_view()),
    path("more/plain/<str:pk>", PlainViewSet.as_view({"get": "retrieve"})),
    path("more/plain/<str:pk>/mask", PlainViewSet.as_view({"get": "mask"}, detail=True)),
    path("more/transfer-detail/<int:pk>", TransferDetail.as_view()),
    path("more/transfer-retrieve/<int:pk>", TransferRetrieve.as_view()),
    path("more/locked/<str:pk>", Locked.as_view()),
    path("more/dry-run", DryRun.as_view()),
    path("more/async", AsyncView.as_view()),
]


@pytest.fixture
def payments(accounts, bobs_account, restricted):
    return SimpleNamespace(
        visible=Payment.objects.create(account=accounts.checking, memo="Lunch"),
        hidden=Payment.objects.create(account=accounts.savings, memo=SECRET_WORD),
        foreign=Payment.objects.create(account=bobs_account, memo=SECRET_WORD),
    )


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("url", ["card-raw", "card-by-id", "card-by-parent"])
@pytest.mark.parametrize("target", ["hidden", "foreign"])
def test_child_row_does_not_overwrite_parent(restricted, accounts, payments, url, target):
    check_mistake(restricted, accounts, [("POST", f"/more/{url}", {"id": getattr(payments, target).pk})])


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("target", ["hidden", "foreign"])
def test_child_row_does_not_move_to_other_parent(restricted, accounts, payments, target):
    CardPayment.objects.create(account=accounts.checking, memo="Card", card="1")
    data = {"id": getattr(payments, target).pk, "memo": "y"}
    check_mistake(restricted, accounts, [("PUT", "/more/card-update", data)])


@pytest.mark.rule("S7.6")
def test_proxy_of_hidden_account_is_not_saved(restricted, accounts, bobs_account, rows):
    requests = [("PATCH", "/more/proxy", {"id": str(pk)}) for pk in (accounts.savings.pk, bobs_account.pk)]
    check_mistake(restricted, accounts, requests)


@pytest.mark.rule("S7.6")
def test_self_reference_to_hidden_row_is_rejected(restricted, accounts, bobs_account):
    Category.objects.create(account=accounts.savings, code="hidden")
    Category.objects.create(account=bobs_account, code="foreign")
    requests = [("POST", "/more/category", {"parent": code}) for code in ("hidden", "foreign")]
    check_mistake(restricted, accounts, requests)


@pytest.mark.rule("S7.6")
def test_initial_saves_hidden_row(restricted, accounts, rows):
    requests = [("POST", f"/more/initial?id={pk}", {}) for pk in (rows.hidden.pk, rows.foreign.pk, MISSING)]
    check_mistake(restricted, accounts, requests)


@pytest.mark.rule("S7.6")
def test_finalize_response_saves_hidden_row(restricted, accounts, rows):
    requests = [("POST", f"/more/finalize/{pk}", {}) for pk in (rows.hidden.pk, rows.foreign.pk, MISSING)]
    check_mistake(restricted, accounts, requests)


@pytest.mark.rule("S7.6")
@pytest.mark.django_db(transaction=True)
def test_on_commit_saves_hidden_row(restricted, accounts, rows):
    before = snapshot(accounts.checking)
    for pk in (rows.hidden.pk, rows.foreign.pk):
        ask(restricted.client, "POST", "/more/on-commit", {"id": str(pk)})
        assert snapshot(accounts.checking) == before


@pytest.mark.rule("S7.4")
def test_row_returned_by_own_get_object_is_deleted(restricted, accounts, rows):
    requests = [("DELETE", f"/more/get-object/{pk}", None) for pk in (rows.hidden.pk, rows.foreign.pk, MISSING)]
    check_mistake(restricted, accounts, requests)


@pytest.mark.rule("S7.4")
@pytest.mark.parametrize(
    "method",
    ["PATCH", "OPTIONS", "GET", "BREW"],
)
def test_patch_only_view_with_own_get_object(restricted, accounts, rows, method):
    data = {"summary": "x"} if method == "PATCH" else None
    assert ask(restricted.client, "PATCH", f"/more/patch-only/{rows.visible.pk}", {"summary": "x"}).status_code == 200
    requests = [(method, f"/more/patch-only/{pk}", data) for pk in (rows.hidden.pk, rows.foreign.pk, MISSING)]
    check_mistake(restricted, accounts, requests)


def test_dispatch_takes_handler_before_initial(restricted, accounts, rows):
    check_mistake(restricted, accounts, [("GET", "/more/eager", None)])


@pytest.mark.parametrize("view", ["forgets", "me", "me-session"])
def test_view_calls_another_view_with_same_request(restricted, accounts, rows, view):
    check_mistake(restricted, accounts, [("GET", f"/more/batch?view={view}", None)], same=False)


@pytest.mark.rule("S7.3")
def test_unlimited_action_calls_limited_action(rows):
    response = Client().get("/more/actions")
    assert response.json() == {"total": 3, "mine": []}


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_lazily_authenticated_view(restricted, accounts, rows, method):
    data = None if method == "GET" else {"id": str(rows.hidden.pk)}
    check_mistake(restricted, accounts, [(method, "/more/lazy", data)])
    bad = Client(headers={"authorization": f"Bearer {restricted.secret[:-1]}!"})
    assert bad.get("/more/lazy").status_code == 401


def key_middleware(get_response):
    def middleware(request):
        get_key(request)
        return get_response(request)

    return middleware


@pytest.mark.rule("S7.2")
def test_lazily_authenticated_view_behind_middleware(restricted, rows, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.key_middleware"]
    bad = Client(headers={"authorization": f"Bearer {restricted.secret[:-1]}!"})
    assert bad.get("/more/lazy").status_code == 401


@pytest.mark.rule("S7.6")
def test_row_is_moved_by_a_query(restricted, accounts, bobs_account, rows):
    targets = (accounts.savings.pk, bobs_account.pk, MISSING)
    check_mistake(restricted, accounts, [("POST", "/more/update-after", {"to": str(pk)}) for pk in targets], False)
    rows.visible.refresh_from_db()
    assert rows.visible.account == accounts.checking


def test_plain_viewset_with_lookup_field(restricted, accounts, rows):
    for suffix in ("", "/mask"):
        response = ask(restricted.client, "GET", f"/more/plain/{accounts.checking.pk}{suffix}")
        assert response.status_code == 200, suffix


def test_row_scoped_by_one_path_is_shown(restricted, accounts):
    transfer = Transfer.objects.create(source=accounts.checking, target=accounts.savings, memo="x")
    for url in ("transfer-retrieve", "transfer-detail"):
        assert ask(restricted.client, "GET", f"/more/{url}/{transfer.pk}").status_code == 200, url


@pytest.mark.rule("S7.5")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("caller", ["key", "person"])
def test_row_is_locked_in_transaction_of_update(restricted, alices_browser, rows, caller, monkeypatch):
    monkeypatch.setattr(connection.features, "has_select_for_update", True)
    monkeypatch.setattr(connection.ops, "for_update_sql", lambda **options: "")
    client = restricted.client if caller == "key" else alices_browser
    options = {"data": {"summary": "x"}, "content_type": "application/json"}
    response = client.patch(f"/more/locked/{rows.visible.pk}", **options)
    assert response.status_code == 200


def test_dry_run(restricted, rows):
    assert ask(restricted.client, "POST", "/more/dry-run").json()["summary"] == "dry"
    rows.visible.refresh_from_db()
    assert rows.visible.summary == "Lunch"


@pytest.fixture
def _request_closes_its_connection(other_threads_close_connections):
    """``AsyncClient`` closes responses in another thread, and that saves the use of the key."""

    def close(**_):
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()

    request_finished.connect(close)
    yield
    request_finished.disconnect(close)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_request_closes_its_connection")
def test_async_view(restricted, rows):
    response = async_to_sync(AsyncClient().get)("/more/async", headers={"authorization": f"Bearer {restricted.secret}"})
    assert response.status_code == 200
    assert response.json() == ["Lunch"]


@pytest.mark.rule("S7.1")
def test_asgi_scope_keeps_no_key_at_closed_view(restricted):
    request = AsyncRequestFactory().get("/more/me", headers={"authorization": f"Bearer {restricted.secret}"})
    Me.as_view()(request)
    assert "HTTP_AUTHORIZATION" not in request.META
    assert restricted.secret.encode() not in str(request.scope["headers"]).encode()
