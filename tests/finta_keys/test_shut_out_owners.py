"""Keys of owners whom the project has shut out in its own way."""

import pytest
from django.contrib.auth.backends import AllowAllUsersModelBackend, BaseBackend, ModelBackend
from django.contrib.auth.models import User as DjangoUser
from django.contrib.auth.models import UserManager
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts_app.models import User
from finta_keys import owners
from finta_keys.models import ApiKey
from finta_keys.testing import comparable_parts, key_client, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.rule("X5")]


class CurrentUsers(UserManager):
    """Leaves out deleted users, whom the project renames."""

    def get_queryset(self):
        return super().get_queryset().exclude(email__startswith="deleted")


class NotDeletedBackend(ModelBackend):
    def user_can_authenticate(self, user):
        return super().user_can_authenticate(user) and not user.email.startswith("deleted")


class RejectingBackend(BaseBackend):
    def user_can_authenticate(self, user):
        return False


class SilentBackend(BaseBackend):
    """Has no ``user_can_authenticate()``."""


@pytest.fixture
def current_users(monkeypatch):
    manager = CurrentUsers()
    manager.model = User
    monkeypatch.setitem(vars(User._meta), "default_manager", manager)


@pytest.fixture
def backends(settings):
    def use(*classes):
        settings.AUTHENTICATION_BACKENDS = [f"{cls.__module__}.{cls.__qualname__}" for cls in classes]

    return use


def delete(owner):
    User.objects.filter(pk=owner.pk).update(email="deleted@example.com")


def assert_unknown(secret):
    unknown = key_client("finta_" + "x" * 54).get("/v2/me")
    assert comparable_parts(key_client(secret).get("/v2/me")) == comparable_parts(unknown)
    assert unknown.status_code == 401


def test_key_of_an_owner_missing_from_the_manager(current_users, alice, restricted, unrestricted):
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    delete(alice)
    assert_unknown(restricted.secret)
    assert_unknown(unrestricted.secret)


@pytest.mark.usefixtures("current_users")
def test_manager_is_asked_in_the_same_query(alice, restricted):
    for expected in (restricted.key, None):
        with CaptureQueriesContext(connection) as queries:
            assert ApiKey.objects.authenticate(restricted.secret) == expected
        assert len(queries) == 1
        delete(alice)


@pytest.mark.parametrize("classes", [[NotDeletedBackend], [NotDeletedBackend, SilentBackend]])
def test_key_of_an_owner_whom_all_backends_reject(backends, classes, alice, restricted):
    backends(*classes)
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    delete(alice)
    assert_unknown(restricted.secret)


@pytest.mark.parametrize(
    "classes",
    [
        [RejectingBackend, ModelBackend],
        [RejectingBackend, AllowAllUsersModelBackend],
        [RejectingBackend, NotDeletedBackend],
        [SilentBackend],
        [],
    ],
)
def test_one_backend_that_accepts_is_enough(backends, classes, restricted):
    backends(*classes)
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


def test_inactive_owner_is_rejected_by_any_backends(backends, alice, restricted):
    backends(AllowAllUsersModelBackend)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert_unknown(restricted.secret)


def test_usual_backends_cost_no_query(alice, restricted):
    with CaptureQueriesContext(connection) as queries:
        assert owners.can_sign_in(alice)
        assert not owners.manager_filters()
    assert len(queries) == 0


def test_other_user_model_takes_effect(settings, monkeypatch):
    assert not owners.manager_filters()
    settings.AUTH_USER_MODEL = "auth.User"
    monkeypatch.setitem(vars(DjangoUser._meta), "default_manager", CurrentUsers())
    assert owners.manager_filters()


@pytest.mark.parametrize("reason", ["manager", "backend"])
def test_shut_out_owner_gets_no_key(request, backends, bob, reason):
    if reason == "manager":
        request.getfixturevalue("current_users")
    else:
        backends(NotDeletedBackend)
    make_key(bob)
    delete(bob)
    with pytest.raises(ValidationError, match="This user is inactive"):
        make_key(bob)
