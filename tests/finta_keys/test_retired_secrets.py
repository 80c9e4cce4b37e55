"""Secrets that a key no longer has (H3)."""

import datetime as dt
from unittest import mock

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts_app.models import User
from finta_keys import secret, signals, usage_counts, usage_store
from finta_keys.authentication import get_key
from finta_keys.models import ApiKey, KeyUsage, RetiredSecret
from finta_keys.testing import comparable_parts, count_usage, key_client, make_key
from tests.finta_keys.snapshots import columns
from tests.finta_keys.test_shut_out_owners import CurrentUsers

PEPPER = b"\x11" * 32
NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)


def get(presented, **extra):
    response = key_client(presented).get("/v2/me", **extra)
    assert response.status_code == 401


@pytest.fixture
def current_users(monkeypatch):
    """The default manager of users leaves some out."""
    manager = CurrentUsers()
    manager.model = User
    monkeypatch.setitem(vars(User._meta), "default_manager", manager)


@pytest.fixture
def rotated(restricted):
    """The old secret of a rotated key."""
    restricted.key.rotate()
    return restricted.secret


def retired():
    return RetiredSecret.objects.get()


@pytest.mark.rule("H3")
class TestRetirement:
    def test_rotation_keeps_the_old_digest(self, restricted, rotated):
        row = retired()
        assert bytes(row.digest) == secret.digest(rotated, PEPPER)
        assert (row.hint, row.key_id, row.key_name) == (secret.hint(rotated), restricted.key.pk, "Restricted")
        assert (row.owner_pk, row.reason, row.tries) == (str(restricted.key.owner_id), "rotated", 0)
        assert str(row) == row.hint

    def test_deletion_keeps_the_digest(self, restricted):
        stale = ApiKey.objects.get(pk=restricted.key.pk)
        fresh = restricted.key.rotate()
        stale.delete()
        digests = {bytes(row.digest): row.reason for row in RetiredSecret.objects.all()}
        assert digests == {
            secret.digest(restricted.secret, PEPPER): "rotated",
            secret.digest(fresh, PEPPER): "deleted",
        }

    def test_deletion_in_bulk_keeps_all_digests(self, alice, restricted, unrestricted):
        ApiKey.objects.delete_all(owner=alice)
        assert set(RetiredSecret.objects.values_list("key_name", flat=True)) == {"Restricted", "All accounts"}

    def test_undone_rotation_keeps_nothing(self, restricted):
        def refuse(**kwargs):
            raise RuntimeError

        signals.key_rotated.connect(refuse)
        try:
            with pytest.raises(RuntimeError):
                restricted.key.rotate()
        finally:
            signals.key_rotated.disconnect(refuse)
        assert not RetiredSecret.objects.exists()
        assert ApiKey.objects.authenticate(restricted.secret) == restricted.key

    def test_deleted_owner_is_not_named(self, alice, restricted, unrestricted, bob):
        make_key(bob, "Bob's")[0].delete()
        alice.delete()
        assert sorted(RetiredSecret.objects.values_list("key_name", flat=True)) == ["", "", "Bob's"]
        assert ApiKey.objects.match(restricted.secret).retired_digest

    def test_key_with_a_retired_digest_can_be_rotated(self, restricted, rotated):
        ApiKey.objects.filter(pk=restricted.key.pk).update(digest=secret.digest(rotated, PEPPER))
        fresh = restricted.key.rotate()
        assert ApiKey.objects.authenticate(fresh) == restricted.key
        assert retired().reason == "rotated"


@pytest.mark.rule("H3")
class TestLookUp:
    def test_retired_secret_is_told_from_unknown(self, rotated):
        assert ApiKey.objects.match(rotated) == (None, secret.digest(rotated, PEPPER))
        assert ApiKey.objects.match(secret.generate()) == (None, None)
        assert ApiKey.objects.match("finta_x") == (None, None)

    @pytest.mark.rule("K2")
    def test_digest_is_not_shown(self, rotated):
        assert rotated[10:] not in repr(ApiKey.objects.match(rotated))
        assert repr(secret.digest(rotated, PEPPER)[:8])[2:-1] not in repr(ApiKey.objects.match(rotated))

    def test_key_with_a_retired_digest_is_refused(self, restricted, rotated):
        """A stale copy of the row was restored."""
        ApiKey.objects.filter(pk=restricted.key.pk).update(digest=secret.digest(rotated, PEPPER))
        assert ApiKey.objects.authenticate(rotated) is None
        assert key_client(rotated).get("/v2/me").status_code == 401

    @pytest.mark.parametrize("filters", [False, True])
    @pytest.mark.parametrize("peppers", [["11" * 32], ["22" * 32, "11" * 32], ["22" * 32, "11" * 32, "33" * 32]])
    def test_all_well_formed_secrets_cost_one_statement(
        self, request, settings, restricted, unrestricted, peppers, filters
    ):
        restricted.key.rotate()
        settings.FINTA_KEYS_PEPPERS = peppers
        if filters:
            request.getfixturevalue("current_users")
        statements = []
        for presented in (unrestricted.secret, restricted.secret, secret.generate()):
            with CaptureQueriesContext(connection) as queries:
                match = ApiKey.objects.match(presented)
            assert len(queries) == 1
            statements.append(len(queries[0]["sql"]))
            if presented == unrestricted.secret:
                assert match.key == unrestricted.key
                assert match.key.owner == unrestricted.key.owner
            else:
                assert match.key is None
                assert (match.retired_digest is not None) == (presented == restricted.secret)

    def test_secret_under_removed_pepper_is_unknown(self, settings, rotated):
        settings.FINTA_KEYS_PEPPERS = ["22" * 32]
        assert ApiKey.objects.match(rotated) == (None, None)
        assert retired().key_name == "Restricted"

    @pytest.mark.rule("X5")
    @pytest.mark.parametrize("method", ["get", "head", "post", "patch", "delete", "options"])
    def test_response_equals_that_of_unknown_secret(self, unrestricted, rotated, method):
        deleted = unrestricted.secret
        unrestricted.key.delete()
        responses = []
        for presented in (secret.generate(), rotated, deleted):
            with CaptureQueriesContext(connection) as queries:
                response = getattr(key_client(presented), method)("/v2/accounts")
            assert response.status_code == 401
            responses.append((comparable_parts(response), len(queries)))
        assert responses[0] == responses[1] == responses[2]


@pytest.mark.rule("H3")
class TestTries:
    @pytest.fixture
    def clock(self):
        with time_machine.travel(NOON, tick=False) as clock:
            yield clock

    def test_tries_are_counted_with_their_last_source(self, rotated, clock):
        with count_usage():
            for place in range(14):
                clock.shift(60)
                get(rotated, REMOTE_ADDR=f"203.0.113.{place}", HTTP_USER_AGENT="python-requests/2.32")
        row = retired()
        assert (row.tries, row.last_tried_at) == (14, NOON + 14 * dt.timedelta(minutes=1))
        assert (row.last_network, row.last_agent) == ("203.0.113.0/24", "python-requests")

    def test_counts_of_processes_add_up(self, rotated, clock):
        """The last time stays the last, whichever process saves last."""
        digest = secret.digest(rotated, PEPPER)
        usage_store.save_tries({digest: (3, NOON, "203.0.113.0/24", "curl")})
        usage_store.save_tries({digest: (2, NOON - dt.timedelta(minutes=5), "198.51.100.0/24", "wget")})
        assert (retired().tries, retired().last_tried_at, retired().last_agent) == (5, NOON, "curl")

    def test_try_changes_no_key(self, restricted, rotated):
        fresh = restricted.key.rotate()
        before = columns(restricted.key)
        with count_usage():
            get(rotated)
        assert columns(restricted.key) == before
        assert not KeyUsage.objects.exists()
        assert ApiKey.objects.authenticate(fresh) == restricted.key

    def test_try_costs_one_query_in_the_request(self, rotated, django_assert_num_queries):
        with count_usage():
            with django_assert_num_queries(1):
                get(rotated)
            with django_assert_num_queries(1):
                get(secret.generate())

    def test_try_is_counted_after_the_response(self, rotated):
        request = RequestFactory().get("/", headers={"authorization": f"Bearer {rotated}"})
        with mock.patch.object(usage_counts, "count_try") as count:
            assert get_key(request) is None
            assert not count.called
            request.close()
        assert count.call_count == 1

    def test_many_tries_are_saved_at_once(self, rotated):
        with count_usage():
            for _ in range(500):
                usage_counts.count_try(secret.digest(rotated, PEPPER), RequestFactory().get("/"))
            with CaptureQueriesContext(connection) as queries:
                usage_counts.save()
        assert len([query for query in queries if query["sql"].startswith("UPDATE")]) == 2
        assert retired().tries == 500

    def test_number_of_secrets_is_capped(self, monkeypatch):
        monkeypatch.setattr(usage_counts, "MAX_TRIED", 2)
        pending = usage_counts.Pending()
        for digest in (b"a", b"b", b"c", b"a"):
            pending.add_try(digest, ("unknown", "none"))
        assert {digest: tries[0] for digest, tries in pending.tries.items()} == {b"a": 2, b"b": 1}
        assert len(pending) == 2

    def test_latest_try_is_kept(self, rotated):
        """Processes save their tries in any order."""
        digest, now = secret.digest(rotated, PEPPER), dt.datetime.now(dt.UTC)
        hour = dt.timedelta(hours=1)
        for at, network, expected in (
            (now, "now", "now"),
            (now - hour, "before", "now"),
            (now + hour, "after", "after"),
        ):
            usage_store.save_tries({digest: (1, at, network, "curl")})
            assert retired().last_network == expected
        assert retired().tries == 3
        pending = {}
        for at, network in ((now, "now"), (now - hour, "before")):
            usage_store.add_tries(pending, digest, (1, at, network, "curl"))
        assert pending == {digest: (2, now, "now", "curl")}

    def test_failed_save_is_repeated(self, rotated):
        def fail(*args):
            raise OperationalError

        with count_usage():
            get(rotated)
            with connection.execute_wrapper(fail):
                usage_counts.save()
            get(rotated)
        assert retired().tries == 2

    def test_pruned_secret_is_not_counted(self, rotated):
        with count_usage():
            get(rotated)
            RetiredSecret.objects.all().delete()
        assert not RetiredSecret.objects.exists()

    def test_long_agent_with_control_characters_is_cut(self, rotated):
        with count_usage():
            get(rotated, HTTP_USER_AGENT="\x1b[31m" + "x" * 65_536)
        assert retired().last_agent == "other"

    def test_view_without_keys_counts_nothing(self, rotated, alices_browser):
        with count_usage():
            alices_browser.get("/settings/api", headers={"authorization": f"Bearer {rotated}"})
        assert retired().tries == 0
