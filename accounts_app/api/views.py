"""The endpoints, in the order of the contract."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response

from accounts_app.api import pagination, serializers
from accounts_app.api.base import JsonView, KeyView
from accounts_app.api.schema import ACCOUNT_ID, WITH_BODY, answers, error_answer
from accounts_app.models import Account, Transaction
from finta_keys import conf
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, unscoped


class HealthView(JsonView):
    """Tell whether the database answers. Asks for no key."""

    @extend_schema(
        operation_id="getHealth",
        auth=[],
        responses={200: serializers.HealthAnswer, **{c: error_answer(c) for c in (405, 503)}},
    )
    def get(self, request: Request) -> Response:
        with connections[conf.database()].cursor() as cursor:
            cursor.execute("SELECT 1")
        return Response({"status": "ok"})


class OpenApiView(JsonView):
    """This description. Asks for no key."""

    @extend_schema(operation_id="getOpenApi", auth=[], responses={200: dict[str, Any], 405: error_answer(405)})
    def get(self, request: Request) -> Response:
        return Response(_openapi())


@cache
def _openapi() -> Any:
    """Build the document once: anybody may ask for it, and it takes ten times as long as an answer of ours."""
    return SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]  # it ships none


@unscoped("tells about the owner of the key, not about accounts")
class MeView(KeyView):
    """The owner of the key."""

    @extend_schema(operation_id="getMe", responses=answers({200: serializers.MeAnswer}))
    def get(self, request: Request) -> Response:
        owner = self.request.user
        return Response({"userId": owner.pk, "email": owner.email, "storageMode": owner.storage_mode})


class AccountsView(AccountScopeMixin, KeyView):
    """The accounts that the key can see."""

    queryset = Account.objects.all()

    @extend_schema(
        operation_id="listAccounts",
        parameters=[serializers.AccountQuery],
        responses=answers({200: serializers.AccountsAnswer}, 400),
    )
    def get(self, request: Request) -> Response:
        query = _valid_query(serializers.AccountQuery, request)
        accounts = self.get_queryset()
        if query["status"] != serializers.ALL:
            accounts = accounts.filter(status=query["status"])
        if "type" in query:
            accounts = accounts.filter(type=query["type"])
        if "bankConnectionId" in query:
            accounts = accounts.filter(bank_connection_id=query["bankConnectionId"])
        return Response({"accounts": [serializers.AccountOut.shown(account) for account in accounts]})

    @extend_schema(
        operation_id="createAccount",
        request=serializers.AccountIn,
        responses=answers({201: serializers.AccountAnswer}, *WITH_BODY),
    )
    def post(self, request: Request) -> Response:
        """Create a manual account. A restricted key sees it from then on; no other restricted key does."""
        values = _valid(serializers.AccountIn(data=self.body()))
        try:
            with self.request.auth.locked() as key:
                account = Account.objects.create_manual(owner_id=key.owner_id, **values)
                key.add_to_scope(account)
        except ApiKey.DoesNotExist:
            raise AuthenticationFailed from None
        return Response({"account": serializers.AccountOut.shown(account)}, status=201)


class AccountView(AccountScopeMixin, KeyView):
    """One account that the key can see."""

    queryset = Account.objects.all()

    def resolve(self) -> None:
        self.account = self.find(self.get_queryset(), self.kwargs["accountId"])

    @extend_schema(
        operation_id="getAccount", parameters=[ACCOUNT_ID], responses=answers({200: serializers.AccountAnswer}, 404)
    )
    def get(self, request: Request, accountId: str) -> Response:
        return Response({"account": serializers.AccountOut.shown(self.account)})

    @extend_schema(
        operation_id="updateAccount",
        parameters=[ACCOUNT_ID],
        request=serializers.AccountIn(partial=True),
        responses=answers({200: serializers.AccountAnswer}, 404, *WITH_BODY),
    )
    def patch(self, request: Request, accountId: str) -> Response:
        """Change fields of an open manual account."""
        values = _valid(serializers.AccountIn(data=self.body(), partial=True))
        return Response({"account": serializers.AccountOut.shown(self._change(Account.edit, **values))})

    @extend_schema(operation_id="closeAccount", parameters=[ACCOUNT_ID], responses=answers({204: None}, 400, 404))
    def delete(self, request: Request, accountId: str) -> Response:
        """Close a manual account. It keeps its rows, and closing it again changes nothing."""
        self._change(Account.close)
        return Response(status=204)

    def _change(self, change: Any, **values: Any) -> Account:
        """Change the account as it is now, locked; it may have left the scope since it was found."""
        with transaction.atomic(using=conf.database()):
            rows = self.get_queryset().select_for_update(of=("self",), no_key=True)
            account: Account = self.find(rows, self.kwargs["accountId"])
            change(account, **values)
        return account


class TransactionsView(AccountScopeMixin, KeyView):
    """The transactions on the accounts that the key can see, newest first."""

    queryset = Transaction.objects.select_related("account")
    account_path = "account"

    def resolve(self) -> None:
        account = self.request.query_params.get("bankAccountId")
        self.account = None if account is None else self.find(self._accounts(), account)

    @extend_schema(
        operation_id="listTransactions",
        parameters=[serializers.TransactionQuery],
        responses=answers({200: serializers.TransactionsAnswer}, 400, 404),
    )
    def get(self, request: Request) -> Response:
        query = _valid_query(serializers.TransactionQuery, request)
        found, cursor = pagination.page(self._filtered(query), query)
        return Response(
            {
                "transactions": [serializers.TransactionOut.shown(each) for each in found],
                "pageInfo": {"nextCursor": cursor, "hasMore": cursor is not None},
            }
        )

    def _accounts(self) -> QuerySet[Account]:
        accounts: QuerySet[Account] = self.request.auth.scoped(Account.objects.all())
        return accounts

    def _filtered(self, query: dict[str, Any]) -> QuerySet[Transaction]:
        rows: QuerySet[Transaction] = self.get_queryset()
        if query["status"] != serializers.ALL:
            rows = rows.filter(status=query["status"])
        if self.account:
            rows = rows.filter(account=self.account)
        if "bankConnectionId" in query:
            rows = rows.filter(account__bank_connection_id=query["bankConnectionId"])
        if "startDate" in query:
            rows = rows.filter(posted_date__gte=query["startDate"])
        if "endDate" in query:
            rows = rows.filter(posted_date__lte=query["endDate"])
        return rows


@unscoped("answers 404 to everything")
class NotFoundView(KeyView):
    """Any other path: 404 with a key, 401 without one."""

    schema = None

    def resolve(self) -> None:
        raise Http404


def _valid_query(query: type[Any], request: Request) -> dict[str, Any]:
    # A plain dict: of form data, DRF takes an empty value for none, and a filter would be ignored in silence.
    return _valid(query(data=request.query_params.dict()))


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
