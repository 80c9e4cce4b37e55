"""Malformed requests to the admin: no error 500."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts_app.models import Account, Transaction, User

MODELS = (User, Account, Transaction, Group)


def changelist(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pk", ["x", "\0"])
def test_malformed_selection_is_a_400(superuser, model, pk):
    data = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    assert superuser.post(changelist(model), data).status_code == 400


@pytest.mark.parametrize("query", ["status__exact=%00", "provider=%00", "status__in=%00"])
@pytest.mark.parametrize("model", [Account, Transaction])
def test_nul_in_a_filter_is_no_500(superuser, model, query):
    assert superuser.get(f"{changelist(model)}?{query}").status_code in (200, 400)


def test_nul_in_owner_search_is_accepted(superuser):
    query = "app_label=accounts_app&model_name=account&field_name=owner&term=%00"
    assert superuser.get(f"{reverse('admin:autocomplete')}?{query}").status_code == 200


@pytest.mark.parametrize("path", ["1/1/", "1/x/", "999/1/", "x"])
def test_view_on_site_is_a_404(superuser, path):
    assert superuser.get(f"/admin/r/{path}").status_code == 404
