"""The endpoints of the API."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response

from accounts_app.api import docs, pagination, queries, serializers
from accounts_app.api.base import JsonView, KeyView
from accounts_app.api.schema import ACCOUNT_ID, WITH_BODY, error_response, responses
from accounts_app.doctor import probe
from accounts_app.models import Account
from finta_keys.current_key import describe
from finta_keys.database import key_database
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, record_shown, unscoped


class HealthView(JsonView):
    """Check that the database is available. No key required."""

    @extend_schema(
        operation_id="getHealth",
        auth=[],
        responses={200: serializers.HealthResponse, **{status: error_response(status) for status in (405, 503)}},
    )
    def get(self, request: Request) -> Response:
        with connections[key_database()].cursor() as cursor:
            cursor.execute("SELECT 1")
        report = probe.report(request)
        return Response({"status": "ok"}, headers={probe.HEADER: report} if report else None)


class OpenApiView(JsonView):
    """This OpenAPI document. No key required."""

    @extend_schema(operation_id="getOpenApi", auth=[], responses={200: dict[str, Any], 405: error_response(405)})
    def get(self, request: Request) -> Response:
        # Absolute, because several client generators cannot use a relative URL.
        return Response({**_openapi(), "servers": [{"url": request.build_absolute_uri("/v2")}]})


class DocsView(JsonView):
    """The same for people, as a page of the site. No key required."""

    def perform_authentication(self, request: Request) -> None:
        """Keep the user who is signed in, for the header of the page."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        context = {"operations": list(docs.operations(_openapi())), "url": request.build_absolute_uri("/v2")}
        return render(request._request, "api_docs.html", context)


@cache
def _openapi() -> Any:
    """Cached, because it takes ten times as long as other responses and requires no key."""
    return SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]  # it ships none


@unscoped("returns the owner of the key, no accounts")
class MeView(KeyView):
    """The owner of the key."""

    @extend_schema(operation_id="getMe", responses=responses({200: serializers.MeResponse}))
    def get(self, request: Request) -> Response:
        owner = self.request.user
        return Response({"userId": owner.pk, "email": owner.email, "storageMode": owner.storage_mode})


@unscoped("describes the calling key, no accounts")
class KeyDetailsView(KeyView):
    """The calling key. Nothing about other keys."""

    @extend_schema(operation_id="getKey", responses=responses({200: serializers.KeyResponse}))
    def get(self, request: Request) -> Response:
        return Response(describe(self.request.auth))


class AccountsView(AccountScopeMixin, KeyView):
    """The accounts in the scope of the key."""

    queryset = Account.objects.all()

    @extend_schema(
        operation_id="listAccounts",
        parameters=[queries.AccountQuerySerializer],
        responses=responses({200: serializers.AccountsResponse}, 400),
    )
    def get(self, request: Request) -> Response:
        accounts = self.get_queryset()
        query = queries.AccountQuerySerializer.validate_query(request.query_params)
        if query["status"] != queries.ALL:
            accounts = accounts.filter(status=query["status"])
        if "type" in query:
            accounts = accounts.filter(type=query["type"])
        if "bankConnectionId" in query:
            accounts = accounts.filter(bank_connection_id=query["bankConnectionId"])
        record_shown(request, accounts)
        return Response({"accounts": [serializers.AccountSerializer.to_json(account) for account in accounts]})

    @extend_schema(
        operation_id="createAccount",
        request=serializers.AccountInputSerializer,
        responses=responses({201: serializers.AccountResponse}, *WITH_BODY),
    )
    def post(self, request: Request) -> Response:
        """Create a manual account.

        It joins the scope of a restricted key, and of no other restricted key.
        """
        values = _valid(serializers.AccountInputSerializer(data=self.body()))
        try:
            with self.request.auth.locked() as key:
                account = Account.objects.create_manual(owner_id=key.owner_id, **values)
                key.add_to_scope(account)
        except ApiKey.DoesNotExist:
            raise AuthenticationFailed from None
        record_shown(request, [account])
        return Response({"account": serializers.AccountSerializer.to_json(account)}, status=201)


class AccountView(AccountScopeMixin, KeyView):
    """One account in the scope of the key."""

    queryset = Account.objects.all()
    lookup_url_kwarg = "accountId"

    def resolve(self) -> None:
        self.require_uuid(self.kwargs["accountId"])

    @extend_schema(
        operation_id="getAccount", parameters=[ACCOUNT_ID], responses=responses({200: serializers.AccountResponse}, 404)
    )
    def get(self, request: Request, accountId: str) -> Response:
        return Response({"account": serializers.AccountSerializer.to_json(self.get_object())})

    @extend_schema(
        operation_id="updateAccount",
        parameters=[ACCOUNT_ID],
        request=serializers.AccountInputSerializer(partial=True),
        responses=responses({200: serializers.AccountResponse}, 404, *WITH_BODY),
    )
    def patch(self, request: Request, accountId: str) -> Response:
        """Change fields of an open manual account."""
        values = _valid(serializers.AccountInputSerializer(data=self.body(), partial=True))
        return Response({"account": serializers.AccountSerializer.to_json(self._change(Account.edit, **values))})

    @extend_schema(operation_id="closeAccount", parameters=[ACCOUNT_ID], responses=responses({204: None}, 400, 404))
    def delete(self, request: Request, accountId: str) -> Response:
        """Close a manual account. Its transactions stay. Closing it again changes nothing."""
        self._change(Account.close)
        return Response(status=204)

    def _change(self, change: Any, **values: Any) -> Account:
        """Change the account under a lock. It may have left the scope since it was loaded."""
        with transaction.atomic(using=key_database()):
            rows = self.get_queryset().select_for_update(of=("self",), no_key=True)
            account: Account = self.find(rows, self.kwargs["accountId"])
            change(account, **values)
        return account


class TransactionsView(AccountScopeMixin, KeyView):
    """The transactions of the accounts in the scope of the key, newest first."""

    queryset = pagination.WITH_CONNECTION
    account_path = "account"

    def resolve(self) -> None:
        account = self.request.query_params.get("bankAccountId")
        self.account = None if account is None else self.find(self._accounts(), account)

    @extend_schema(
        operation_id="listTransactions",
        parameters=[queries.TransactionQuerySerializer],
        responses=responses({200: serializers.TransactionsResponse}, 400, 404),
    )
    def get(self, request: Request) -> Response:
        rows = self.get_queryset()
        query = queries.TransactionQuerySerializer.validate_query(request.query_params)
        accounts = None if self.account else self._accounts()
        if self.account:
            rows = rows.filter(account=self.account)
        if "bankConnectionId" in query:
            rows = rows.filter(account__bank_connection_id=query["bankConnectionId"])
            accounts = None if accounts is None else accounts.filter(bank_connection_id=query["bankConnectionId"])
        transactions, cursor = pagination.paginate(rows, _conditions(query), accounts, query)
        record_shown(request, [self.account] if self.account else {row.account_id for row in transactions})
        return Response(
            {
                "transactions": [serializers.TransactionSerializer.to_json(row) for row in transactions],
                "pageInfo": {"nextCursor": cursor, "hasMore": cursor is not None},
            }
        )

    def _accounts(self) -> QuerySet[Account]:
        accounts: QuerySet[Account] = self.request.auth.scoped(Account.objects.all())
        return accounts


def _conditions(query: dict[str, Any]) -> Q:
    """Return the conditions on columns of the transaction."""
    conditions = Q()
    if query["status"] != queries.ALL:
        conditions &= Q(status=query["status"])
    if "categoryId" in query:
        conditions &= Q(category_id=query["categoryId"])
    # The indexes contain sort_date, which equals posted_date unless that is null.
    if "startDate" in query:
        conditions &= Q(posted_date__isnull=False, sort_date__gte=query["startDate"])
    if "endDate" in query:
        conditions &= Q(posted_date__isnull=False, sort_date__lte=query["endDate"])
    return conditions


@unscoped("always returns 404")
class NotFoundView(KeyView):
    """Any other path: 404 with a key, 401 without one."""

    schema = None

    def resolve(self) -> None:
        raise Http404


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
