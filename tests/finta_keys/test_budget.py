"""The cost of authentication, in function calls: their number is the same on every machine.

A budget is a multiple of the calls of the same view without authentication, and at most a fifth above the need.
"""

import sys

import pytest
from django.db import connection
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts_app.models import Account
from finta_keys import secret
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin


class Floor(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request, pk):
        account = Account.objects.get(pk=pk)
        return Response({"id": str(account.pk), "name": account.name})


class WithKey(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = []
    queryset = Account.objects.all()

    def get(self, request, pk):
        account = self.get_object()
        return Response({"id": str(account.pk), "name": account.name})


def calls(view, pk, presented=None, status=200):
    """Return how many functions, of Python and of C, are called for a response once everything is warm."""
    respond = view.as_view()
    for _ in range(3):
        assert respond(new_request(presented), pk=pk).status_code == status
    # The least of several runs: the garbage collector calls functions too.
    return min(counted(respond, new_request(presented), pk) for _ in range(5))


def new_request(presented):
    """Return a request that no view has handled: the key of a request is looked up once and kept on it."""
    headers = {"HTTP_AUTHORIZATION": f"Bearer {presented}"} if presented else {}
    return APIRequestFactory().get("/", **headers)


def counted(respond, request, pk):
    count = 0

    def count_call(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    outer = sys.getprofile()
    sys.setprofile(count_call)
    try:
        respond(request, pk=pk)
    finally:
        sys.setprofile(outer)
    return count


@pytest.mark.parametrize(
    ("presented", "status", "budget"),
    [("all", 200, 0.69), ("restricted", 200, 0.70), ("unknown", 401, 0.38), ("malformed", 401, 0.31)],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="The budgets are those on SQLite.")
def test_request_stays_within_its_budget(presented, status, budget, restricted, unrestricted, accounts):
    unknown = secret.generate()
    secrets = {
        "all": unrestricted.secret,
        "restricted": restricted.secret,
        "unknown": unknown,
        "malformed": unknown[:-1] + "!",
    }
    floor = calls(Floor, accounts.checking.pk)
    cost = calls(WithKey, accounts.checking.pk, secrets[presented], status) / floor
    print(f"{presented}: {cost:.3f}")
    assert cost < budget
    assert cost > budget / 1.2, "Lower the budget: the code needs much less."
