"""Handlers written by hand, as projects write them: some limit their rows, some forget to.

``Plain`` handlers have no queryset, so the library cannot look up the row in the URL. ``Generic`` ones have one.
A handler "by hand" loads the row with the model's own manager.
"""

import uuid
from datetime import date

from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.views.decorators.http import condition
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.scoping import AccountScopeMixin, scoped, unscoped_rows

CHANGED = "changed by the request"


class SummarySerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["summary"]


class Plain(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    account_path = "account"


class Generic(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    account_path = "account"
    queryset = Transaction.objects.all()
    serializer_class = SummarySerializer


class ViewSet(AccountScopeMixin, GenericViewSet):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    account_path = "account"
    queryset = Transaction.objects.all()
    serializer_class = SummarySerializer


def load(pk):
    """Load a row by hand."""
    return get_object_or_404(Transaction, pk=pk)


def load_account(request):
    """Load the account that the body names, from those that the caller may access."""
    return get_object_or_404(scoped(request, Account.objects.all()), pk=request.data["account"])


def change(row):
    row.summary = CHANGED
    row.save()
    return row


def new_fields(**fields):
    return {
        "provider": "manual",
        "provider_id": str(uuid.uuid4()),
        "summary": CHANGED,
        "amount": "1.00",
        "currency": "USD",
        "posted_date": date(2026, 1, 1),
        **fields,
    }


def many(rows, status=200):
    return Response([row.summary for row in rows], status)


def one(row, status=200):
    return Response({"summary": row.summary}, status)


def of_account(queryset, request):
    """Filter by the account that the query or the body names."""
    return queryset.filter(account_id=request.query_params.get("account") or request.data["account"])


# list, search


class ListScoped(Plain):
    def get(self, request):
        return many(of_account(self.scoped(Transaction.objects.all()), request))


class ListGeneric(Generic):
    def get(self, request):
        return many(of_account(self.get_queryset(), request))


class ListForgets(Plain):
    def get(self, request):
        return many(of_account(Transaction.objects.all(), request))


class SearchScoped(Plain):
    def post(self, request):
        rows = of_account(self.scoped(Transaction.objects.all()), request)
        return Response(SummarySerializer(rows, many=True).data)


class SearchForgets(Plain):
    def post(self, request):
        rows = of_account(Transaction.objects.all(), request)
        return Response(SummarySerializer(rows, many=True).data)


class SearchDict(Plain):
    """The rows of the serializer are inside a dict."""

    def post(self, request):
        rows = of_account(Transaction.objects.all(), request)
        return Response({"results": SummarySerializer(rows, many=True).data})


class SearchValues(Plain):
    def post(self, request):
        return Response(list(of_account(Transaction.objects.all(), request).values("summary")))


# detail


class DetailObject(Generic):
    def get(self, request, pk):
        return one(self.get_object())


class DetailScoped(Plain):
    def get(self, request, pk):
        return one(get_object_or_404(self.scoped(Transaction.objects.all()), pk=pk))


class DetailByHand(Generic):
    def get(self, request, pk):
        return one(load(pk))


class DetailForgets(Plain):
    def get(self, request, pk):
        return one(load(pk))


class DetailConflict(Plain):
    """A response that is not 2xx shows the row."""

    def get(self, request, pk):
        return one(load(pk), 409)


# extra actions


class ActionObject(ViewSet):
    @action(detail=True, methods=["post"])
    def archive(self, request, pk):
        return one(change(self.get_object()))


class ActionByHand(ViewSet):
    @action(detail=True, methods=["post"])
    def archive(self, request, pk):
        return one(change(load(pk)))


class ActionDownload(ViewSet):
    @action(detail=True)
    def archive(self, request, pk):
        return HttpResponse(load(pk).summary, content_type="application/octet-stream")


# nested create


class NestedDeclared(Plain):
    scoped_kwargs = {"account_pk": Account}

    def post(self, request, account_pk):
        return one(Transaction.objects.create(**new_fields(account_id=account_pk)), 201)


class NestedByHand(Plain):
    def post(self, request, account_pk):
        account = get_object_or_404(scoped(request, Account.objects.all()), pk=account_pk)
        return one(Transaction.objects.create(**new_fields(account=account)), 201)


class NestedForgets(Plain):
    def post(self, request, account_pk):
        return one(Transaction.objects.create(**new_fields(account_id=account_pk)), 201)


class NestedSilent(Plain):
    """The response has no body."""

    def post(self, request, account_pk):
        Transaction.objects.create(**new_fields(account_id=account_pk))
        return Response(status=201)


class NestedListDeclared(Plain):
    scoped_kwargs = {"account_pk": Account}

    def get(self, request, account_pk):
        return many(Transaction.objects.filter(account_id=account_pk))


class NestedListForgets(Plain):
    def get(self, request, account_pk):
        return many(Transaction.objects.filter(account_id=account_pk))


# create, upsert


class CreateScoped(Plain):
    def post(self, request):
        return one(Transaction.objects.create(**new_fields(account=load_account(request))), 201)


class FieldSerializer(serializers.Serializer):
    account = AccountRelatedField()


class CreateField(Plain):
    serializer_class = FieldSerializer

    def post(self, request):
        serializer = self.serializer_class(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        return one(Transaction.objects.create(**new_fields(**serializer.validated_data)), 201)


class RelationSerializer(serializers.Serializer):
    account = serializers.PrimaryKeyRelatedField(queryset=Account.objects.all())


class CreateRelation(CreateField):
    serializer_class = RelationSerializer


class CreateForgets(Plain):
    def post(self, request):
        return one(Transaction.objects.create(**new_fields(account_id=request.data["account"])), 201)


class CreateAudited(Plain):
    """The handler also saves a row outside the scope, and says so."""

    def post(self, request):
        row = Transaction.objects.create(**new_fields(account=load_account(request)))
        with unscoped_rows("counts requests for the operator"):
            change(Transaction.objects.get(provider_id="tx-audit"))
        return one(row, 201)


class UpsertScoped(Plain):
    def post(self, request):
        row, _ = Transaction.objects.update_or_create(
            account=load_account(request), provider_id=request.data["provider_id"], defaults={"summary": CHANGED}
        )
        return one(row)


class UpsertForgets(Plain):
    def post(self, request):
        row, _ = Transaction.objects.update_or_create(
            provider_id=request.data["provider_id"],
            defaults={"summary": CHANGED},
            create_defaults=new_fields(account_id=request.data["account"], provider_id=request.data["provider_id"]),
        )
        return one(row)


class PutCreates(Plain):
    """A PUT to an address that may have no row yet."""

    def put(self, request, pk):
        account = load_account(request)
        row, created = Transaction.objects.update_or_create(
            account=account,
            provider_id=pk,
            defaults={"summary": CHANGED},
            create_defaults=new_fields(account=account, provider_id=pk),
        )
        return one(row, 201 if created else 200)


# PATCH, PUT, DELETE


class WriteObject(Generic):
    def patch(self, request, pk):
        return one(change(self.get_object()))

    def put(self, request, pk):
        return one(change(self.get_object()))

    def delete(self, request, pk):
        self.get_object().delete()
        return Response(status=204)


class WriteScoped(Plain):
    def load(self, pk):
        return get_object_or_404(self.scoped(Transaction.objects.all()), pk=pk)

    def patch(self, request, pk):
        return one(change(self.load(pk)))

    def put(self, request, pk):
        return one(change(self.load(pk)))

    def delete(self, request, pk):
        self.load(pk).delete()
        return Response(status=204)


class ByHand:
    def patch(self, request, pk):
        return one(change(load(pk)))

    def put(self, request, pk):
        return one(change(load(pk)))

    def delete(self, request, pk):
        load(pk).delete()
        return Response(status=204)


class WriteByHand(ByHand, Generic):
    pass


class WriteForgets(ByHand, Plain):
    pass


class PatchFails(Generic):
    def patch(self, request, pk):
        change(self.get_object())
        raise serializers.ValidationError("Rejected after the row was saved.")


class PatchCaught(Plain):
    """The handler catches the error of the save and responds as if nothing had happened."""

    def patch(self, request, pk):
        row = load(pk)
        try:
            change(row)
        except Exception:
            return Response({"summary": "not saved"})
        return one(row)


# bulk


class BulkScoped(Plain):
    def post(self, request):
        rows = self.scoped(Transaction.objects.all()).filter(pk__in=request.data["ids"])
        return Response({"changed": rows.update(summary=CHANGED)})


class BulkChecked(Plain):
    """Rows written in bulk, then checked. ``atomic()`` undoes them for sessions too."""

    @transaction.atomic
    def post(self, request):
        rows = [Transaction(**new_fields(account_id=request.data["account"])) for _ in range(2)]
        self.check_rows(Transaction.objects.bulk_create(rows))
        return many(rows, 201)


class BulkUpdates(Plain):
    def post(self, request):
        rows = Transaction.objects.filter(pk__in=request.data["ids"])
        return Response({"changed": rows.update(summary=CHANGED)})


class BulkCreates(Plain):
    def post(self, request):
        rows = [Transaction(**new_fields(account_id=request.data["account"])) for _ in range(2)]
        return many(Transaction.objects.bulk_create(rows), 201)


class BulkSaves(Plain):
    def post(self, request):
        rows = [load(pk) for pk in request.data["ids"]]
        return many([change(row) for row in rows])


# transfer, theft


class TransferScoped(Generic):
    def post(self, request, pk):
        row = self.get_object()
        row.account = load_account(request)
        return one(change(row))


class TransferForgets(Generic):
    def post(self, request, pk):
        row = self.get_object()
        row.account_id = request.data["account"]
        return one(change(row))


class TheftScoped(Plain):
    def post(self, request):
        row = get_object_or_404(self.scoped(Transaction.objects.all()), pk=request.data["id"])
        row.account = load_account(request)
        return one(change(row))


class TheftForgets(Plain):
    """The account is one that the caller may access; the row was never looked for in the scope."""

    def post(self, request):
        row = load(request.data["id"])
        row.account = load_account(request)
        return one(change(row))


# responses that are not DRF's


def csv(rows):
    return HttpResponse("".join(f"{row.summary}\n" for row in rows), content_type="text/csv")


class ExportScoped(Plain):
    def get(self, request):
        return csv(of_account(self.scoped(Transaction.objects.all()), request))


class ExportForgets(Plain):
    def get(self, request):
        return csv(of_account(Transaction.objects.all(), request))


def redirect_to(row):
    return HttpResponseRedirect(f"https://files.example/{row.provider_id}?signature=valid")


class RedirectScoped(Plain):
    def get(self, request, pk):
        return redirect_to(get_object_or_404(self.scoped(Transaction.objects.all()), pk=pk))


class RedirectByHand(Generic):
    def get(self, request, pk):
        return redirect_to(load(pk))


class RedirectForgets(Plain):
    def get(self, request, pk):
        return redirect_to(load(pk))


class RedirectAfterSave(Plain):
    def post(self, request, pk):
        return redirect_to(change(load(pk)))


def lines(rows):
    return StreamingHttpResponse((f"{row.summary}\n" for row in rows), content_type="text/plain")


class StreamScoped(Plain):
    def get(self, request):
        return lines(of_account(self.scoped(Transaction.objects.all()), request))


class StreamForgets(Plain):
    def get(self, request):
        return lines(of_account(Transaction.objects.all(), request))


class StreamLate(Plain):
    """The rows are limited only when the server sends them."""

    def get(self, request):
        def rows():
            yield from of_account(self.scoped(Transaction.objects.all()), request)

        return lines(rows())


# cached, condition


class CachedObject(Generic):
    def get(self, request, pk):
        data = cache.get(f"row-{pk}")
        if data is None:
            data = self.get_object().summary
            cache.set(f"row-{pk}", data)
        return Response({"summary": data})


def cached_list(view, request, name):
    data = cache.get(name)
    if data is None:
        data = [row.summary for row in of_account(view.scoped(Transaction.objects.all()), request)]
        cache.set(name, data)
    return Response(data)


class CachedPerKey(Plain):
    def get(self, request):
        return cached_list(self, request, self.scope_cache_key("list", request.query_params["account"]))


class CachedForgets(Plain):
    """One cache entry for all callers."""

    def get(self, request):
        return cached_list(self, request, f"list-{request.query_params['account']}")


def etag(request, pk):
    row = Transaction.objects.filter(pk=pk).first()
    return row and f'"{row.provider_id}"'


class ConditionObject(Generic):
    @method_decorator(condition(etag_func=etag))
    def get(self, request, pk):
        return one(self.get_object())


class ConditionByHand(Generic):
    @method_decorator(condition(etag_func=etag))
    def get(self, request, pk):
        return one(load(pk))


class ConditionForgets(Plain):
    @method_decorator(condition(etag_func=etag))
    def get(self, request, pk):
        return one(load(pk))
