"""Behaviour that no other test noticed when the code of keys, scope and authentication was changed on purpose."""

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts_app.models import Account
from finta_keys import nonces, secret
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import AlreadyDone, ApiKey, CreateNonce
from finta_keys.nonces import NONCE_KEPT
from finta_keys.scoping import AccountScopeMixin
from finta_keys.testing import make_key
from tests.finta_keys import urls_made_up


class KeywordForgotten(ApiKeyAuthentication):
    keyword = None  # the mistake


def reported(request, error):
    """Return what Django's own filter lets an error report show: a host need not have the site's."""
    request.exception_reporter_filter = SafeExceptionReporterFilter()
    reporter = ExceptionReporter(request, error.type, error.value, error.tb)
    return reporter.get_traceback_text() + reporter.get_traceback_html()


def test_K2_djangos_own_error_report_of_a_header_that_could_not_be_read_does_not_show_the_secret(restricted):
    """As when a subclass of the host makes a mistake."""
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    with pytest.raises(AttributeError) as error:
        KeywordForgotten().presented(Request(request))
    report = reported(request, error)
    assert "in presented" in report
    assert restricted.secret[10:-4] not in report


def test_K2_djangos_own_error_report_of_a_failed_look_up_does_not_show_the_secret(restricted, monkeypatch):
    def fail(*args):
        raise DatabaseError

    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.execute", fail)
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    with pytest.raises(DatabaseError) as error:
        urls_made_up.Accounts.as_view()(request)
    report = reported(request, error)
    assert "in authenticate" in report
    assert restricted.secret[10:-4] not in report


def test_K2_djangos_own_error_report_of_a_failed_look_up_elsewhere_does_not_show_the_secret(restricted, monkeypatch):
    """Such as where a host calls ``authenticate()`` itself."""

    def fail(*args):
        raise DatabaseError

    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.execute", fail)
    presented = restricted.secret[:]  # a string as a header gives it, which shows itself
    call = partial(ApiKey.objects.authenticate, presented)
    del presented
    with pytest.raises(DatabaseError) as error:
        call()
    reporter = ExceptionReporter(None, error.type, error.value, error.tb.tb_next)
    reporter.filter = SafeExceptionReporterFilter()
    frames = reporter.get_traceback_frames()
    shown = [str(value) for frame in frames for _, value in frame["vars"]]
    assert "authenticate" in [frame["function"] for frame in frames]
    assert not [value for value in shown if restricted.secret[10:-4] in value]


class Labelled:
    """A base of the host that takes a keyword where it is subclassed."""

    def __init_subclass__(cls, *, label: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.label = label


def test_what_other_bases_do_to_their_subclasses_is_done_beside_the_mixin():
    class View(AccountScopeMixin, Labelled, label="of the host"):
        pass

    assert View.label == "of the host"


def test_S3_a_method_that_narrows_already_is_inherited_as_it_is():
    class View(AccountScopeMixin, GenericAPIView):
        queryset = Account.objects.all()

    class Inherited(View):
        pass

    assert Inherited.get_queryset is View.get_queryset


def test_K2_what_a_secret_shows_where_objects_are_dumped():
    made = secret.generate()
    assert repr(made) == f"<Secret {secret.hint(made)}>"


def test_K5_a_refusal_of_what_was_done_already_has_a_code_of_its_own(restricted):
    with pytest.raises(AlreadyDone) as done:
        restricted.key.rotate(expected=7)
    assert done.value.code == "already_done"


class Elsewhere:
    """Sends everything to a database that is not there."""

    def db_for_read(self, model, **hints):
        return "elsewhere"

    db_for_write = db_for_read


def test_K4_no_change_of_a_key_asks_another_database_than_the_one_of_keys(
    settings, alice, restricted, accounts, django_assert_num_queries
):
    """Not even for a transaction or a savepoint."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.test_mutants.Elsewhere"]
    key = restricted.key
    for change in (
        lambda: ApiKey.objects.create_key(owner=alice, name="New"),
        lambda: key.rename("Laptop"),
        key.share_all,
        lambda: key.restrict_to([accounts.cash]),
        key.rotate,
        key.delete,
    ):
        with django_assert_num_queries(0), pytest.raises(ConnectionDoesNotExist):
            change()


def test_a_database_that_the_caller_names_is_the_one_that_is_deleted_from(restricted):
    with pytest.raises(ConnectionDoesNotExist), transaction.atomic():
        restricted.key.delete(using="elsewhere")
    assert ApiKey.objects.filter(pk=restricted.key.pk).exists()


def test_K5_where_a_database_has_no_row_locks_a_rotation_in_the_last_moment_is_not_undone(restricted):
    """Somebody else's, between the look at the row and the write."""
    others = []

    def overtake(execute, sql, *args):
        if sql.startswith("UPDATE") and not others:
            others.append(sql)
            ApiKey.objects.filter(pk=restricted.key.pk).update(rotation=1, digest=b"d" * secret.DIGEST_LENGTH)
        return execute(sql, *args)

    with connection.execute_wrapper(overtake), pytest.raises(AlreadyDone), transaction.atomic():
        restricted.key.rotate()
    assert "finta_keys_apikey" in others[0]
    assert restricted.key.rotation == 0
    assert ApiKey.objects.get(pk=restricted.key.pk).hint == restricted.key.hint


@pytest.mark.parametrize("name", ["Restricted", "Bob's"])
def test_T2_only_another_key_of_the_owner_takes_a_name(bob, restricted, name):
    """Neither the key itself nor somebody else's key is blamed for what the database refuses for another reason."""
    make_key(bob, "Bob's")

    def refuse(execute, sql, *args):
        if sql.startswith("UPDATE"):
            raise IntegrityError("for another reason")
        return execute(sql, *args)

    with connection.execute_wrapper(refuse), pytest.raises(IntegrityError, match="for another reason"):
        restricted.key.rename(name)


@pytest.fixture
def locked(monkeypatch):
    """The models whose rows are asked to be locked, in order, each with the kind of lock and the order of its rows.

    Read from the queries before they become SQL: SQLite has no row locks, so there the SQL does not say.
    """
    asked = []
    as_sql = SQLCompiler.as_sql

    def spy(compiler, *args, **kwargs):
        query = compiler.query
        if query.select_for_update:
            kind = "no key" if query.select_for_no_key_update else "full"
            asked.append((query.model.__name__, kind, query.order_by))
        return as_sql(compiler, *args, **kwargs)

    monkeypatch.setattr(SQLCompiler, "as_sql", spy)
    return asked


OWNER, KEY, ACCOUNTS = (("User", "no key", ("pk",)), ("ApiKey", "no key", ()), ("Account", "no key", ("pk",)))


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (
            lambda key, account: ApiKey.objects.create_key(owner=key.owner, name="New", accounts=[account]),
            [OWNER, ACCOUNTS],
        ),
        (lambda key, account: key.rename("Laptop"), [OWNER, KEY]),
        (lambda key, account: key.share_all(), [OWNER, KEY]),
        (lambda key, account: key.restrict_to([account]), [OWNER, KEY, ACCOUNTS]),
        (lambda key, account: key.rotate(), [OWNER, KEY]),
        (lambda key, account: key.delete(), [OWNER, KEY]),
    ],
    ids=["create", "rename", "share all", "restrict", "rotate", "delete"],
)
def test_T2_a_change_locks_owner_key_and_accounts_in_this_order(restricted, accounts, locked, change, rows):
    """And accounts by their primary key, so that two changes never wait for one another; none of them needs a lock
    that would keep rows with a foreign key to the locked one from being written."""
    change(restricted.key, accounts.cash)
    assert locked == rows


def test_K1_a_taken_name_has_a_code_of_its_own(restricted, unrestricted):
    with pytest.raises(ValidationError) as refusal:
        restricted.key.rename("All accounts")
    (error,) = refusal.value.error_dict["name"]
    assert error.code == "taken"


def test_K5_a_repeated_submit_tells_the_key_that_the_first_one_made_and_no_other(alice):
    nonce = nonces.read(nonces.make(alice.pk), alice.pk)
    first, _ = ApiKey.objects.create_key(owner=alice, name="First", nonce=nonce)
    make_key(alice, "Newer")
    with pytest.raises(AlreadyDone) as done:
        ApiKey.objects.create_key(owner=alice, name="Again", nonce=nonce)
    assert done.value.key == first


def test_K5_a_nonce_counts_as_spent_until_an_hour_before_it_may_be_forgotten(restricted):
    now = timezone.now()
    CreateNonce.objects.create(value="n" * 43, key_id=restricted.key.pk, spent_at=now)
    with time_machine.travel(now + NONCE_KEPT - timedelta(minutes=61), tick=False):
        assert CreateNonce.is_spent("n" * 43)
        assert not CreateNonce.is_spent("m" * 43)
    with time_machine.travel(now + NONCE_KEPT - timedelta(minutes=59), tick=False):
        assert not CreateNonce.is_spent("n" * 43)


def test_K4_whose_key_it_is_is_asked_where_keys_are_written(settings, alice, bob, restricted):
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
    assert alice.api_keys.authenticate(restricted.secret) == restricted.key
    assert bob.api_keys.authenticate(restricted.secret) is None


def test_X3_the_id_of_a_pepper_stays_what_it_was_in_stored_keys():
    assert secret.pepper_id(b"\x11" * 32) == "58e5c814"
