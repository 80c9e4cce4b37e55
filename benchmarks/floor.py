"""The floor: the view without authentication. All ratios are relative to it; do not change it."""

from typing import Any

from django.http import Http404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account


class Floor(APIView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []
    renderer_classes = [JSONRenderer]

    def get(self, request: Request, pk: str) -> Response:
        try:
            account = Account.objects.get(pk=pk)
        except Account.DoesNotExist:
            raise Http404 from None
        return Response({"id": account.pk, "name": account.name})
