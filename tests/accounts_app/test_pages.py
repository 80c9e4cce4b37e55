"""Users."""

import pytest
from django.test import Client

from accounts_app.models import User
from tests.factories import PASSWORD


def test_user_email_spellings_are_equal(alice):
    with pytest.raises(Exception, match="A user with this e-mail exists"):
        User.objects.create_user("ALICE@Example.com", PASSWORD)


def test_createsuperuser(db):
    operator = User.objects.create_superuser("op@example.com", PASSWORD)
    browser = Client()
    assert browser.login(username="OP@example.com", password=PASSWORD)
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin").status_code == 302
    assert operator.is_superuser
