"""Views of ordinary projects, second collection: mistakes must not leak, and correct code must work."""
# ruff: noqa: DJ008, DJ012

import io
import json
import re
import uuid
from types import SimpleNamespace

import pytest
from django import forms
from django.core.cache import cache
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Prefetch, Subquery, Sum, Value, When, Window
from django.db.models.functions import RowNumber
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404
from django.test.utils import isolate_apps
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.http import etag
from rest_framework import (
    exceptions,
    generics,
    pagination,
    permissions,
    renderers,
    routers,
    serializers,
    throttling,
    versioning,
    views,
    viewsets,
)
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.filters import ScopedFilterBackend
from finta_keys.save_signals import receive_m2m_changes
from finta_keys.scoping import AccountScopeMixin, scoped
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin
from finta_keys.testing import comparable_parts
from tests.factories import TransactionFactory
from tests.finta_keys.tables import tables_of

WORD = "Zanzibar"  # in every name that the key must not see


class LiveManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(deleted=False).select_related("account")


with isolate_apps("accounts_app") as isolated:

    class AccountProxy(Account):
        class Meta:
            proxy = True
            app_label = "accounts_app"

    class Base(models.Model):
        objects = LiveManager()
        deleted = models.BooleanField(default=False)

        class Meta:
            abstract = True

    class Folder(Base):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        slug = models.SlugField()
        uid = models.UUIDField(default=uuid.uuid4, unique=True)

        class Meta:
            app_label = "accounts_app"
            unique_together = [("account", "slug")]

        def delete(self, *args, **kwargs):
            self.deleted = True
            self.save(update_fields=["deleted"])

    class Paper(models.Model):
        folder = models.ForeignKey(Folder, models.CASCADE, related_name="papers", to_field="uid")
        name = models.CharField(max_length=50)
        code = models.CharField(max_length=50, unique=True, default=uuid.uuid4)
        position = models.IntegerField(default=0)
        tags = models.ManyToManyField(Folder, related_name="tagged")

        class Meta:
            app_label = "accounts_app"

    class Profile(models.Model):
        account = models.OneToOneField(Account, models.CASCADE, related_name="+", primary_key=True)
        color = models.CharField(max_length=50)

        class Meta:
            app_label = "accounts_app"

    class Loan(models.Model):
        """The account is named by a proxy."""

        account = models.ForeignKey(AccountProxy, models.CASCADE, related_name="+")
        memo = models.CharField(max_length=50)

        class Meta:
            app_label = "accounts_app"

    class Business(Account):
        account_ptr = models.OneToOneField(Account, models.CASCADE, parent_link=True, related_name="+")
        vat = models.CharField(max_length=50)

        class Meta:
            app_label = "accounts_app"

    class Invoice(models.Model):
        """The account is named by a child of its model."""

        business = models.ForeignKey(Business, models.CASCADE, related_name="invoices")
        memo = models.CharField(max_length=50)

        class Meta:
            app_label = "accounts_app"

    isolated.do_pending_operations(Account)
    isolated.do_pending_operations(AccountProxy)

MODELS = (Folder, Paper, Profile, Loan, Business, Invoice)
receive_m2m_changes([Paper])


_tables = tables_of(*MODELS)


class Open(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [permissions.IsAuthenticated]


class TransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["id", "summary", "amount"]


class OfTransactions(Open):
    account_path = "account"
    queryset = Transaction.objects.order_by("pk")
    serializer_class = TransactionSerializer


class PaperSerializer(ScopedModelSerializer):
    class Meta:
        model = Paper
        fields = ["id", "folder", "name", "code"]


class OfPapers(Open):
    account_path = "folder__account"
    queryset = Paper.objects.order_by("pk")
    serializer_class = PaperSerializer


def own_account(request):
    return scoped(request, Account.objects.order_by("pk")).first()


# 1. A handler that adds rows to a reverse relation


class CollectPapers(Open, generics.GenericAPIView):
    queryset = Folder.objects.all()
    account_path = "account"

    def put(self, request, pk):
        folder = self.get_object()
        how = request.data["how"]
        papers = Paper.objects.filter(pk__in=request.data["papers"])
        if how == "add":
            folder.papers.add(*papers)
        elif how == "set":
            folder.papers.set(papers)
        elif how == "add one by one":
            folder.papers.add(*papers, bulk=False)
        elif how == "tag":
            folder.tagged.add(*request.data["papers"])
        elif how == "untag":
            folder.tagged.remove(*request.data["papers"])
        elif how == "set tags":
            folder.tagged.set(request.data["papers"])
        return Response({"papers": [paper.name for paper in folder.papers.all()]})


# 2. Throttles and permissions that ask about the row


class PerAccount(throttling.SimpleRateThrottle):
    rate = "1/hour"

    def get_cache_key(self, request, view):
        row = Transaction.objects.filter(pk=view.kwargs["pk"]).first()
        return row and f"per-account-{row.account_id}"


class Throttled(OfTransactions, generics.RetrieveAPIView):
    throttle_classes = [PerAccount]


class ClosedInInitial(OfTransactions, generics.RetrieveAPIView):
    how = ""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        row = get_object_or_404(Transaction, pk=kwargs["pk"])
        if row.status == "posted":
            raise {
                "denied": exceptions.PermissionDenied,
                "throttled": exceptions.Throttled,
                "invalid": exceptions.ValidationError,
                "conflict": Conflict,
            }[self.how]()


class Conflict(exceptions.APIException):
    status_code = 409
    default_detail = "This row is posted."


class OwnerCheck(OfTransactions, generics.GenericAPIView):
    """Compares the owner by hand, as projects did before they had keys."""

    def patch(self, request):
        row = get_object_or_404(Transaction, pk=request.data["id"])
        if row.account.owner != request.user:
            raise exceptions.PermissionDenied
        row.summary = request.data["summary"]
        row.save()
        return Response(self.get_serializer(row).data)


class ScopeCheck(OfTransactions, generics.GenericAPIView):
    """Compares the scope by hand."""

    def patch(self, request):
        row = get_object_or_404(Transaction, pk=request.data["id"])
        if not request.auth.scoped(Account.objects.filter(pk=row.account_id)).exists():
            raise exceptions.PermissionDenied
        row.summary = request.data["summary"]
        row.save()
        return Response(self.get_serializer(row).data)


# 3. Form in a view


class PaperForm(forms.ModelForm):
    class Meta:
        model = Paper
        fields = ["folder", "name"]


class ByForm(OfPapers, generics.GenericAPIView):
    def post(self, request):
        form = PaperForm(request.data)
        if not form.is_valid():
            return Response(form.errors, status=400)
        return Response({"id": form.save().pk}, status=201)


# 4. Import with one result for each row


class Import(OfPapers, generics.GenericAPIView):
    def post(self, request):
        results = []
        for item in request.data:
            serializer = self.get_serializer(data=item)
            try:
                serializer.is_valid(raise_exception=True)
                serializer.save()
                results.append({"name": serializer.data["name"]})
            except exceptions.ValidationError as error:
                results.append(error.detail)
        return Response(results, status=207)


class Upsert(OfPapers, generics.GenericAPIView):
    def post(self, request):
        folder = scoped(request, Folder.objects.all(), "account").get()
        papers = [Paper(folder=folder, name=item["name"], code=item["code"]) for item in request.data["rows"]]
        if request.data["how"] == "ignore":
            Paper.objects.bulk_create(papers, ignore_conflicts=True)
        elif request.data["how"] == "update":
            Paper.objects.bulk_create(papers, update_conflicts=True, unique_fields=["code"], update_fields=["name"])
        elif request.data["how"] == "move":
            fields = ["name", "folder"]
            Paper.objects.bulk_create(papers, update_conflicts=True, unique_fields=["code"], update_fields=fields)
        self.check_rows(papers)
        return Response({"n": len(papers)}, status=201)


# 5. Models


class ProfileSerializer(ScopedModelSerializer):
    class Meta:
        model = Profile
        fields = ["account", "color"]


class Profiles(Open, viewsets.ModelViewSet):
    account_path = "account"
    queryset = Profile.objects.order_by("pk")
    serializer_class = ProfileSerializer


class LoanSerializer(ScopedModelSerializer):
    class Meta:
        model = Loan
        fields = ["id", "account", "memo"]


class Loans(Open, viewsets.ModelViewSet):
    account_path = "account"
    queryset = Loan.objects.order_by("pk")
    serializer_class = LoanSerializer


class LoanByHand(Open, views.APIView):
    def post(self, request):
        own_account(request)
        Loan.objects.create(account_id=request.data["account"], memo="x")
        return Response(status=201)


class ProxyAccounts(Open, viewsets.ModelViewSet):
    queryset = AccountProxy.objects.order_by("pk")
    serializer_class = type(
        "S",
        (serializers.ModelSerializer,),
        {"Meta": type("Meta", (), {"model": AccountProxy, "fields": ["id", "name"]})},
    )


class InvoiceSerializer(ScopedModelSerializer):
    class Meta:
        model = Invoice
        fields = ["id", "business", "memo"]


class Invoices(Open, viewsets.ModelViewSet):
    account_path = "business__account_ptr"
    queryset = Invoice.objects.order_by("pk")
    serializer_class = InvoiceSerializer


class InvoiceByHand(Open, views.APIView):
    def post(self, request):
        own_account(request)
        Invoice.objects.create(business_id=request.data["account"], memo="x")
        return Response(status=201)


class BusinessSerializer(serializers.ModelSerializer):
    class Meta:
        model = Business
        fields = ["account_ptr_id", "name", "vat"]


class Businesses(Open, viewsets.ModelViewSet):
    account_path = "account_ptr"
    queryset = Business.objects.order_by("pk")
    serializer_class = BusinessSerializer


class BusinessByHand(Open, views.APIView):
    def patch(self, request):
        own_account(request)
        row = get_object_or_404(Business, pk=request.data["account"])
        row.vat = "1"
        row.save(update_fields=["vat"])
        return Response(status=204)


# 6. Several lookup fields, copies, deletion flags


class BySeveral(OfPapers, viewsets.ModelViewSet):
    """The mixin of the documentation of Django REST framework."""

    lookup_fields = ["folder__slug", "name"]

    def get_object(self):
        rows = self.filter_queryset(self.get_queryset())
        if self.kwargs["name"] == "latest":
            row = rows.filter(folder__slug=self.kwargs["folder__slug"]).last()
            if row is None:
                raise Http404
        else:
            row = get_object_or_404(rows, **{field: self.kwargs[field] for field in self.lookup_fields})
        self.check_object_permissions(self.request, row)
        return row

    @action(detail=True, methods=["post"])
    def copy(self, request, **kwargs):
        row = self.get_object()
        tags = list(row.tags.all())
        row.pk, row._state.adding = None, True
        row.name, row.code = f"{row.name} copy", str(uuid.uuid4())
        if "folder" in request.data:
            row.folder_id = request.data["folder"]
        row.save()
        row.tags.set(tags)
        transaction.on_commit(lambda: DONE.append(row.name), robust=True)
        return Response(self.get_serializer(row).data, status=201)


DONE = []


class Folders(Open, viewsets.ModelViewSet):
    """Found by its slug, deleted by a flag, with papers below it."""

    account_path = "account"
    lookup_field = "slug"
    lookup_value_regex = "[a-z-]+"
    scoped_kwargs = {"paper_id": Paper, "version": None}
    versioning_class = versioning.URLPathVersioning
    queryset = Folder.objects.annotate(n=Count("papers"), named=Exists(Paper.objects.filter(folder=OuterRef("uid"))))

    def get_serializer_class(self):
        return type(
            "FolderSerializer",
            (ScopedSerializerMixin, serializers.HyperlinkedModelSerializer),
            {
                "Meta": type(
                    "Meta",
                    (),
                    {
                        "model": Folder,
                        "fields": ["url", "slug", "account"],
                        "extra_kwargs": {
                            "url": {"lookup_field": "slug", "view_name": "folder-detail"},
                            "account": {"view_name": "account-detail"},
                        },
                    },
                )
            },
        )

    @action(detail=True, methods=["get", "patch", "delete"], url_path=r"papers/(?P<paper_id>\d+)")
    def paper(self, request, slug, paper_id, version):
        row = get_object_or_404(self.get_object().papers, pk=paper_id)
        if request.method == "DELETE":
            row.delete()
            return Response(status=204)
        if request.method == "PATCH":
            row.position = F("position") + 1
            row.save(update_fields=["position"])
            row.refresh_from_db()
        return Response({"name": row.name, "position": row.position})

    @action(detail=False)
    def report(self, request, version):
        rows = self.get_queryset().prefetch_related(Prefetch("papers", Paper.objects.only("name"), to_attr="kept"))
        ranked = self.get_queryset().annotate(rank=Window(RowNumber(), order_by="slug"))
        return Response(
            {
                "slugs": [row.slug for row in self.filter_queryset(rows)],
                "names": [paper.name for row in rows for paper in row.kept],
                "total": self.get_queryset().aggregate(total=Sum("n")),
                "bulk": [row.slug for row in self.get_queryset().in_bulk().values()],
                "values": list(self.get_queryset().values_list("slug", "n", "named")),
                "ranks": [row.rank for row in ranked],
            }
        )

    @action(detail=False, methods=["post"])
    def upsert(self, request, version):
        row, created = self.get_queryset().update_or_create(
            slug=request.data["slug"], defaults={"account": own_account(request), "deleted": False}
        )
        return Response({"slug": row.slug}, status=201 if created else 200)


class Accounts(Open, viewsets.ReadOnlyModelViewSet):
    queryset = Account.objects.order_by("pk")
    serializer_class = type(
        "S", (serializers.ModelSerializer,), {"Meta": type("Meta", (), {"model": Account, "fields": ["id", "name"]})}
    )


# 7. Renderers, files and pages


class CSV(renderers.BaseRenderer):
    media_type, format, render_level = "text/csv", "csv", 0

    def render(self, data, accepted_media_type=None, renderer_context=None):
        rows = data if isinstance(data, list) else data.get("results", [data])
        return "\n".join(",".join(str(value) for value in row.values()) for row in rows).encode()


class BySummary(pagination.CursorPagination):
    page_size, ordering = 1, ("summary", "pk")


class PaperFilters(OfPapers, generics.ListCreateAPIView):
    renderer_classes = [renderers.JSONRenderer, renderers.BrowsableAPIRenderer]
    filter_backends = [ScopedFilterBackend]
    filterset_fields = ["folder", "folder__account"]


class PaperPage(OfPapers, generics.RetrieveUpdateDestroyAPIView):
    renderer_classes = [renderers.JSONRenderer, renderers.BrowsableAPIRenderer, renderers.AdminRenderer]


class Pages(OfTransactions, generics.ListAPIView):
    pagination_class = BySummary
    renderer_classes = [renderers.JSONRenderer, CSV]


class Download(OfTransactions, generics.GenericAPIView):
    renderer_classes = [renderers.JSONRenderer, CSV]

    def get(self, request, pk):
        row = self.get_object()
        return FileResponse(io.BytesIO(row.summary.encode()), as_attachment=True, filename=f"{row.summary}.txt")


def tag_of(request, pk):
    row = Transaction.objects.filter(pk=pk).first()
    return row and f'"{row.summary}"'


class Tagged(OfTransactions, generics.RetrieveUpdateAPIView):
    @method_decorator(etag(tag_of))
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)

    @method_decorator(etag(tag_of))
    def patch(self, request, *args, **kwargs):
        return super().patch(request, *args, **kwargs)


class TaggedDispatch(OfTransactions, generics.RetrieveAPIView):
    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        row = Transaction.objects.filter(pk=kwargs["pk"]).first()
        if row:
            response["ETag"] = f'"{row.summary.replace(WORD, "")}"'
        return response


# 8. Rows that handlers load in unusual ways


class Loads(OfTransactions, generics.GenericAPIView):
    def post(self, request):
        account, how, pk = own_account(request), request.data["how"], request.data["id"]
        row = self.get_queryset().first()
        if how == "only":
            row = Transaction.objects.only("summary").get(pk=pk)
            row.summary = "x"
            row.save()
        elif how == "expression":
            row.account_id = Value(uuid.UUID(pk), output_field=models.UUIDField())
            row.save()
        elif how == "case":
            row.account_id = Case(When(pk__isnull=False, then=Subquery(Account.objects.filter(pk=pk).values("pk")[:1])))
            row.save()
        elif how == "constructed":
            Transaction(pk=pk, account=account, summary="x").save(update_fields=["summary"])
        elif how == "savepoint":
            row.summary = "half done"
            row.save()
            transaction.on_commit(lambda: DONE.append("half done"))
            try:
                with transaction.atomic():
                    Transaction.objects.filter(pk=row.pk).first().save()
                    other = Transaction.objects.get(pk=pk)
                    other.summary = "x"
                    other.save()
                    raise IntegrityError
            except (IntegrityError, Http404, Transaction.DoesNotExist):
                pass
        elif how == "give owner":
            request.user.accounts.add(*Account.objects.filter(pk=pk))
        return Response({"ok": True})


router = routers.SimpleRouter()
router.register("profiles", Profiles)
router.register("loans", Loans)
router.register("proxies", ProxyAccounts)
router.register("invoices", Invoices)
router.register("businesses", Businesses)
router.register("accounts", Accounts)
versioned = routers.SimpleRouter()
versioned.register("folders", Folders, basename="folder")

DETAIL = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
urlpatterns = [
    path("collect/<int:pk>", CollectPapers.as_view()),
    path("throttled/<str:pk>", Throttled.as_view()),
    *[
        path(f"initial-{how}/<str:pk>", ClosedInInitial.as_view(how=how))
        for how in ("denied", "throttled", "invalid", "conflict")
    ],
    path("owner-check", OwnerCheck.as_view()),
    path("scope-check", ScopeCheck.as_view()),
    path("form", ByForm.as_view()),
    path("import", Import.as_view()),
    path("upsert", Upsert.as_view()),
    path("loan-by-hand", LoanByHand.as_view()),
    path("invoice-by-hand", InvoiceByHand.as_view()),
    path("business-by-hand", BusinessByHand.as_view()),
    path("several/<slug:folder__slug>/<slug:name>/copy", BySeveral.as_view({"post": "copy"}, detail=True)),
    path("several/<slug:folder__slug>/<slug:name>", BySeveral.as_view(DETAIL, detail=True)),
    path("filters", PaperFilters.as_view()),
    path("page/<int:pk>", PaperPage.as_view()),
    path("pages", Pages.as_view()),
    path("download/<str:pk>", Download.as_view()),
    path("tagged/<str:pk>", Tagged.as_view()),
    path("tagged-dispatch/<str:pk>", TaggedDispatch.as_view()),
    path("loads", Loads.as_view()),
    path("<str:version>/", include(versioned.urls)),
    path("", include(router.urls)),
]
pytestmark = [pytest.mark.thorough, pytest.mark.urls(__name__), pytest.mark.django_db, pytest.mark.rule("S4")]


@pytest.fixture(autouse=True)
def _middleware(settings):
    """The site's own middleware rejects keys outside /v2."""
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    cache.clear()
    DONE.clear()


MISSING = {"uuid": str(uuid.UUID(int=5)), "int": 999, "slug": "missing"}


@pytest.fixture
def rows(restricted, accounts, bobs_account):
    """For each target its account, transaction, folder, paper, profile, loan, business and invoice."""
    Account.objects.exclude(pk=accounts.checking.pk).update(name=f"{WORD} savings", status="active")
    result = {}
    for target, account in (("visible", accounts.checking), ("hidden", accounts.savings), ("foreign", bobs_account)):
        word = "Lunch" if target == "visible" else f"{WORD}{target}"
        folder = Folder.objects.create(account=account, slug={"visible": "rent"}.get(target, f"{target}-zanzibar"))
        business = Business(account_ptr=account, vat=word)
        business.__dict__.update({k: v for k, v in account.__dict__.items() if k != "_state"})
        business.save_base(raw=True)
        result[target] = SimpleNamespace(
            account=account,
            transaction=TransactionFactory(account=account, provider_id=f"ref-{target}", summary=word),
            folder=folder,
            paper=Paper.objects.create(folder=folder, name=word, code=f"code-{target}"),
            profile=Profile.objects.create(account=account, color=word),
            loan=Loan.objects.create(account_id=account.pk, memo=word),
            invoice=Invoice.objects.create(business=business, memo=word),
        )
    return SimpleNamespace(**result)


def pks(rows, name):
    missing = MISSING["int"] if name in ("folder", "paper", "loan", "invoice") else MISSING["uuid"]
    return [getattr(rows.hidden, name).pk, getattr(rows.foreign, name).pk, missing]


def everything(visible):
    """Every stored row that does not belong to the visible account."""
    state = {}
    own_folders = {folder.uid for folder in Folder.objects.filter(account=visible)}
    for model in (Account, Transaction, Folder, Paper, Paper.tags.through, Profile, Loan, Business, Invoice):
        for row in model._base_manager.values():
            account = {"Account": row.get("id"), "Business": row.get("account_ptr_id")}.get(
                model.__name__, row.get("account_id", row.get("business_id"))
            )
            if account != visible.pk and row.get("folder_id") not in own_folders:
                state[model.__name__, str(row)] = 1
    return state


def answer_of(response):
    error = getattr(response, "exc_info", None)
    return comparable_parts(response), error and error[0].__name__


def check(client, rows, requests, *, may_succeed=False):
    """Send the same request for hidden, foreign and missing rows: nothing may leak, change or differ."""
    before = everything(rows.visible.account)
    answers = []
    for method, url, data in requests:
        response = client.send(method, url, data)
        answer = answer_of(response)
        status, body, headers = answer[0]
        assert WORD not in body.decode() + json.dumps(headers), (method, url, body)
        answers.append(answer)
        after = everything(rows.visible.account)
        assert after == before, (method, url, status, set(after) ^ set(before))
        assert status >= 400 or may_succeed, (status, body)
    assert all(answer == answers[0] for answer in answers), [(parts[:2], error) for parts, error in answers]
    return answers[0][0][0]


# Each xfail is a limit that docs/security-model.md lists.


@pytest.mark.rule("S7.6")
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: Django calls update(), which sends no signal.")
@pytest.mark.parametrize("how", ["add", "set"])
def test_reverse_relation_takes_no_hidden_row(restricted, rows, how):
    url = f"/collect/{rows.visible.folder.pk}"
    requests = [("PUT", url, {"how": how, "papers": [pk]}) for pk in pks(rows, "paper")]
    check(restricted.client, rows, requests, may_succeed=True)


@pytest.mark.rule("S7.6")
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: Django calls update(), which sends no signal.")
def test_owner_takes_no_foreign_account(restricted, rows):
    data = {"how": "give owner", "id": str(rows.foreign.account.pk)}
    check(restricted.client, rows, [("POST", "/loads", data)], may_succeed=True)


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("how", ["add one by one", "tag", "set tags"])
def test_relation_change_rejects_hidden_rows(restricted, rows, how):
    url = f"/collect/{rows.visible.folder.pk}"
    requests = [("PUT", url, {"how": how, "papers": [pk]}) for pk in pks(rows, "paper")[:2]]
    assert check(restricted.client, rows, requests) == 404


@pytest.mark.rule("S7.6")
def test_removing_a_relation_reveals_no_hidden_row(restricted, rows):
    url = f"/collect/{rows.visible.folder.pk}"
    requests = [("PUT", url, {"how": "untag", "papers": [pk]}) for pk in pks(rows, "paper")]
    check(restricted.client, rows, requests, may_succeed=True)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: a throttle that looks at the row in the URL.")
def test_throttle_that_asks_about_the_row(restricted, rows):
    for _ in range(3):
        check(restricted.client, rows, [("GET", f"/throttled/{pk}", None) for pk in pks(rows, "transaction")])


@pytest.mark.rule("S7.4")
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: the view's initial() responds by the row.")
@pytest.mark.parametrize("how", ["denied", "throttled", "invalid", "conflict"])
def test_initial_rejects_by_hidden_row(restricted, rows, how):
    check(restricted.client, rows, [("GET", f"/initial-{how}/{pk}", None) for pk in pks(rows, "transaction")])


@pytest.mark.rule("S7.6")
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: the handler raises 403 by the row.")
@pytest.mark.parametrize("url", ["owner-check", "scope-check"])
def test_handler_compares_by_hand(restricted, rows, url):
    data = {"id": str(rows.visible.transaction.pk), "summary": "x"}
    assert restricted.client.send("PATCH", f"/{url}", data).status_code == 200
    requests = [("PATCH", f"/{url}", {"id": str(pk), "summary": "x"}) for pk in pks(rows, "transaction")]
    check(restricted.client, rows, requests)


def test_form_with_any_folder(restricted, rows):
    uids = [rows.hidden.folder.uid, rows.foreign.folder.uid]
    data = {"folder": str(rows.visible.folder.uid), "name": "x"}
    assert restricted.client.send("POST", "/form", data).status_code == 201
    check(restricted.client, rows, [("POST", "/form", {"folder": str(uid), "name": "x"}) for uid in uids])


def test_import_with_one_result_for_each_row(restricted, rows):
    own = str(rows.visible.folder.uid)
    first = {"folder": own, "name": "first"}
    uids = [str(rows.hidden.folder.uid), str(rows.foreign.folder.uid), MISSING["uuid"]]
    requests = [
        ("POST", "/import", [{**first, "code": f"first-{n}"}, {"folder": pk, "name": "second"}])
        for n, pk in enumerate(uids)
    ]
    check(restricted.client, rows, requests, may_succeed=True)
    assert Paper.objects.filter(name="first").count() == 3


def test_import_with_hidden_duplicate(restricted, rows):
    own = str(rows.visible.folder.uid)
    responses = [
        restricted.client.send(
            "POST",
            "/import",
            [
                {"folder": own, "name": "first", "code": f"first-{target}"},
                {"folder": own, "name": "second", "code": f"code-{target}"},
                {"folder": own, "name": "third", "code": f"third-{target}"},
            ],
        )
        for target in ("visible", "hidden", "foreign")
    ]
    assert answer_of(responses[0]) == answer_of(responses[1]) == answer_of(responses[2]), [
        answer_of(response) for response in responses
    ]
    assert Paper.objects.filter(name="third").count() == 3


MOVES = pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: check_rows() cannot see where a row was.")


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("how", ["ignore", "update", pytest.param("move", marks=MOVES)])
def test_bulk_create_and_check_rows(restricted, rows, how):
    def send(*codes):
        data = {"how": how, "rows": [{"name": "x", "code": code} for code in codes]}
        return restricted.client.send("POST", "/upsert", data)

    response = send("new-1", "new-2")
    assert response.status_code == 201, response.content
    before = everything(rows.visible.account)
    answers = [answer_of(send(f"newer-{target}", f"code-{target}")) for target in ("hidden", "foreign")]
    assert everything(rows.visible.account) == before
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("url", "name", "data"),
    [
        ("profiles", "profile", {"color": "x"}),
        ("loans", "loan", {"memo": "x"}),
        ("proxies", "account", {"name": "x"}),
        ("invoices", "invoice", {"memo": "x"}),
        ("businesses", "account", {"vat": "x"}),
    ],
)
def test_rows_of_unusual_models(restricted, rows, url, name, data):
    client = restricted.client
    assert len(client.get(f"/{url}/").json()) == 1
    for method in ("GET", "PATCH", "DELETE"):
        requests = [(method, f"/{url}/{pk}/", data if method == "PATCH" else None) for pk in pks(rows, name)]
        assert check(client, rows, requests) == 404
    pk = getattr(rows.visible, name).pk
    assert client.send("PATCH", f"/{url}/{pk}/", data).status_code == 200
    assert client.send("GET", f"/{url}/{pk}/").json().items() >= data.items()


@pytest.mark.parametrize(("url", "name"), [("profiles", "account"), ("loans", "account"), ("invoices", "business")])
def test_unusual_models_are_created_inside_the_scope(restricted, rows, url, name):
    data = {"color": "x", "memo": "x"}
    requests = [("POST", f"/{url}/", {**data, name: str(pk)}) for pk in pks(rows, "account")]
    assert check(restricted.client, rows, requests) == 400
    rows.visible.profile.delete()
    response = restricted.client.send("POST", f"/{url}/", {**data, name: str(rows.visible.account.pk)})
    assert response.status_code == 201, response.content


@pytest.mark.parametrize("url", ["loan-by-hand", "invoice-by-hand"])
def test_unusual_models_are_saved_inside_the_scope(restricted, rows, url):
    check(restricted.client, rows, [("POST", f"/{url}", {"account": str(pk)}) for pk in pks(rows, "account")])
    data = {"account": str(rows.visible.account.pk)}
    assert restricted.client.send("POST", f"/{url}", data).status_code == 201


def test_child_of_hidden_account_is_not_saved(restricted, rows):
    requests = [("PATCH", "/business-by-hand", {"account": str(pk)}) for pk in pks(rows, "account")]
    check(restricted.client, rows, requests)
    data = {"account": str(rows.visible.account.pk)}
    assert restricted.client.send("PATCH", "/business-by-hand", data).status_code == 204


@pytest.mark.parametrize("name", ["own", "latest"])
@pytest.mark.parametrize("suffix", ["", "/copy"])
def test_row_is_named_by_several_fields(restricted, rows, name, suffix):
    urls = [
        f"/several/{slug}/{name if name == 'latest' else paper}{suffix}"
        for slug, paper in (
            (rows.hidden.folder.slug, rows.hidden.paper.name),
            (rows.foreign.folder.slug, rows.foreign.paper.name),
            ("missing", "missing"),
        )
    ]
    for method in ("GET", "PATCH", "DELETE", "POST", "OPTIONS", "HEAD"):
        assert check(restricted.client, rows, [(method, url, None) for url in urls]) == 404
    url = f"/several/rent/{'latest' if name == 'latest' else 'Lunch'}"
    assert restricted.client.send("GET", url).json()["name"] == "Lunch"
    assert restricted.client.send("PATCH", url, {"position": 3}).status_code == 200


def test_copy(restricted, rows, django_capture_on_commit_callbacks):
    rows.visible.paper.tags.add(rows.visible.folder)
    url = "/several/rent/Lunch/copy"
    with django_capture_on_commit_callbacks(execute=True):
        copied = restricted.client.send("POST", url, {})
    assert (copied.status_code, copied.json()["name"]) == (201, "Lunch copy"), copied.content
    assert Paper.objects.get(name="Lunch copy").tags.get() == rows.visible.folder
    assert DONE == ["Lunch copy"]
    uids = [rows.hidden.folder.uid, rows.foreign.folder.uid, MISSING["uuid"]]
    with django_capture_on_commit_callbacks(execute=True):
        assert check(restricted.client, rows, [("POST", url, {"folder": str(uid)}) for uid in uids]) == 404
    assert DONE == ["Lunch copy"]
    assert Paper.objects.filter(name="Lunch copy").count() == 1


def test_folders_with_slugs_and_versions(restricted, rows):
    client = restricted.client
    listed = client.get("/v1/folders/").json()
    assert [row["slug"] for row in listed] == ["rent"]
    assert listed[0]["url"].endswith("/v1/folders/rent/"), listed
    report = client.get("/v1/folders/report/")
    assert report.status_code == 200, report.content
    assert report.json() == {
        "slugs": ["rent"],
        "names": ["Lunch"],
        "total": {"total": 1},
        "bulk": ["rent"],
        "values": [["rent", 1, True]],
        "ranks": [1],
    }
    account = f"http://testserver/accounts/{rows.visible.account.pk}/"
    created = client.send("POST", "/v1/folders/", {"slug": "new", "account": account})
    assert created.status_code == 201, created.content
    requests = [
        ("POST", "/v1/folders/", {"slug": "newer", "account": f"http://testserver/accounts/{pk}/"})
        for pk in (*pks(rows, "account"), "malformed")
    ]
    assert check(client, rows, requests) == 400
    if connection.vendor != "postgresql":  # It cannot lock the rows of a queryset with GROUP BY.
        assert client.send("POST", "/v1/folders/upsert/", {"slug": "rent"}).status_code == 200
        assert client.send("POST", "/v1/folders/upsert/", {"slug": "other"}).status_code == 201
    assert client.send("DELETE", "/v1/folders/new/").status_code == 204
    assert Folder._base_manager.get(slug="new").deleted
    assert client.send("GET", "/v1/folders/new/").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"])
def test_papers_below_a_folder(restricted, rows, method):
    papers = pks(rows, "paper")
    slugs = [rows.hidden.folder.slug, rows.foreign.folder.slug, "missing"]
    check(restricted.client, rows, [(method, f"/v1/folders/rent/papers/{pk}/", None) for pk in papers])
    requests = [(method, f"/v1/folders/{slug}/papers/{pk}/", None) for slug, pk in zip(slugs, papers, strict=True)]
    check(restricted.client, rows, requests)
    url = f"/v1/folders/rent/papers/{rows.visible.paper.pk}/"
    response = restricted.client.send(method, url)
    assert response.status_code == {"DELETE": 204, "PUT": 405}.get(method, 200)
    if method == "PATCH":
        assert response.json() == {"name": "Lunch", "position": 1}


@pytest.mark.parametrize("url", ["/filters", "/page/{}"])
def test_browsable_pages_show_visible_choices(restricted, alices_browser, rows, url, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_filters"]
    url = url.format(rows.visible.paper.pk)
    for accept in ("text/html", "application/json"):
        response = restricted.client.get(url, headers={"accept": accept})
        assert response.status_code == 200
        assert "anzibar" not in response.content.decode()
        for other in (rows.hidden, rows.foreign):
            assert str(other.account.pk) not in response.content.decode()
            assert str(other.folder.uid) not in response.content.decode()
    page = alices_browser.get(url, headers={"accept": "text/html"}).content.decode()
    assert str(rows.foreign.account.pk) not in page
    rejected = restricted.client.post(url, {}, headers={"accept": "text/html"})
    assert "anzibar" not in rejected.content.decode()


@pytest.mark.parametrize("accept", ["text/html", "admin"])
def test_browsable_page_of_hidden_row(restricted, rows, accept):
    texts = set()
    for pk in pks(rows, "paper"):
        query = "?format=admin" if accept == "admin" else ""
        response = restricted.client.get(f"/page/{pk}{query}", headers={"accept": "text/html"})
        assert response.status_code == 404
        text = response.content.decode().replace(f"/page/{pk}", "/page/PK")
        texts.add(re.sub(r'(csrfToken": |csrfmiddlewaretoken" value=)"\w+"', "", text))
    assert len(texts) == 1


def test_cursor_pages_and_renderers(restricted, unrestricted, rows):
    TransactionFactory(account=rows.visible.account, summary="Zebra")
    page = restricted.client.get("/pages").json()
    summaries = []
    for _ in range(5):
        summaries += [row["summary"] for row in page["results"]]
        if not page["next"]:
            break
        page = restricted.client.get(page["next"]).json()
    assert summaries == ["Lunch", "Zebra"]
    cursor = unrestricted.client.get("/pages").json()["next"]
    for url in (cursor, "/pages?format=csv", "/pages"):
        response = restricted.client.get(url, headers={"accept": "text/csv, application/json"})
        assert response.status_code == 200
        assert WORD not in response.content.decode()
    for headers in ({"accept": "application/xml"}, {"accept": "text/csv"}):
        answers = [
            answer_of(restricted.client.get(f"/download/{pk}", headers=headers)) for pk in pks(rows, "transaction")
        ]
        assert answers[0] == answers[1] == answers[2]
    response = restricted.client.get(f"/download/{rows.visible.transaction.pk}")
    assert response.getvalue() == b"Lunch"


TAGS = pytest.mark.xfail(strict=True, raises=AssertionError, reason="Limit: finalize_response() looks at the row.")


@pytest.mark.parametrize("url", ["tagged", pytest.param("tagged-dispatch", marks=TAGS)])
def test_etags(restricted, rows, url):
    check(restricted.client, rows, [("GET", f"/{url}/{pk}", None) for pk in pks(rows, "transaction")])
    check(restricted.client, rows, [("PATCH", f"/{url}/{pk}", {}) for pk in pks(rows, "transaction")])
    visible = f"/{url}/{rows.visible.transaction.pk}"
    response = restricted.client.get(visible)
    assert response["ETag"] == '"Lunch"'


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("how", ["only", "expression", "case", "constructed", "savepoint"])
def test_rows_loaded_in_unusual_ways(restricted, rows, how, django_capture_on_commit_callbacks):
    targets = pks(rows, "account" if how in ("expression", "case") else "transaction")[:2]
    requests = [("POST", "/loads", {"how": how, "id": str(pk)}) for pk in targets]
    with django_capture_on_commit_callbacks(execute=True):
        assert check(restricted.client, rows, requests) == 404
    rows.visible.transaction.refresh_from_db()
    assert (rows.visible.transaction.summary, DONE) == ("Lunch", [])
