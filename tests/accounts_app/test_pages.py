"""Users, as the site knows them."""

import pytest
from django.test import Client

from accounts_app.models import User
from tests.factories import PASSWORD


def test_a_user_is_known_by_one_address_however_it_is_written(alice):
    with pytest.raises(Exception, match="A user with this e-mail exists"):
        User.objects.create_user("ALICE@Example.com", PASSWORD)


def test_createsuperuser_makes_an_operator(db):
    operator = User.objects.create_superuser("op@example.com", PASSWORD)
    browser = Client()
    assert browser.login(username="OP@example.com", password=PASSWORD)
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin").status_code == 302
    assert operator.is_superuser
