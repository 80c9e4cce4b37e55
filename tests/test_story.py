"""Compare the API with a simple model of the rules, in random sequences of steps.

After each step, every key lists the accounts that the model expects. In the model, only two steps
add an account to a restricted key: an edit by the owner, and an account created with the key (S5).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts_app.models import Account, User
from finta_keys.models import ApiKey
from tests.conftest import ApiClient
from tests.factories import AccountFactory, UserFactory

MANUAL_ACCOUNT = {"name": "Made by a key", "type": "other", "currency": "EUR", "currentBalance": 1}
MOST_KEYS, MOST_ACCOUNTS = 4, 7


@dataclass(eq=False)
class Key:
    """The expected state of a key. ``scope`` is None for all accounts."""

    pk: UUID
    owner: str
    secret: str
    scope: set[UUID] | None

    @property
    def record(self) -> ApiKey:
        return ApiKey.objects.get(pk=self.pk)


class Story(RuleBasedStateMachine):
    accounts = Bundle("accounts")
    keys = Bundle("keys")

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.names = count()
        self.people = {name: UserFactory(email=f"{name}@example.com") for name in ("alice", "bob")}
        # the owner of each account
        self.owner_of = {AccountFactory(owner=self.people[name]).pk: name for name in ["alice", "bob"] * 2}
        self.live: list[Key] = []
        self.dead: list[str] = []
        self.steps = 0

    def teardown(self):
        try:
            for key in self.live:
                self.finds(key, [*self.owner_of, uuid4()])
            for secret in self.dead:
                self.is_dead(secret)
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @initialize(target=accounts)
    def first_accounts(self):
        return multiple(*self.owner_of)

    @initialize(target=keys)
    def first_keys(self):
        """Each owner starts with a key for the initial accounts."""
        return multiple(*(self.create_key(name, sorted(self.own(name))) for name in self.people))

    def own(self, name):
        return {pk for pk, owner in self.owner_of.items() if owner == name}

    # --- accounts

    @precondition(lambda self: len(self.owner_of) < MOST_ACCOUNTS)
    @rule(target=accounts, owner=st.sampled_from(["alice", "bob"]), provider=st.sampled_from(["manual", "plaid"]))
    def connect(self, owner, provider):
        account = AccountFactory(owner=self.people[owner], provider=provider)
        self.owner_of[account.pk] = owner
        return account.pk

    @rule(account=accounts)
    def close(self, account):
        Account.objects.filter(pk=account).update(provider="manual")
        Account.objects.get(pk=account).close()

    @rule(account=consumes(accounts), how=st.sampled_from(["instance", "queryset"]))
    def delete_account(self, account, how):
        rows = Account.objects.filter(pk=account)
        rows.get().delete() if how == "instance" else rows.delete()
        del self.owner_of[account]
        for key in self.live:
            if key.scope is not None:
                key.scope.discard(account)

    @rule(account=accounts, how=st.sampled_from(["save", "update"]))
    def transfer_to_the_other_owner(self, account, how):
        """Calling it again returns the account."""
        to = "bob" if self.owner_of[account] == "alice" else "alice"
        if how == "save":
            row = Account.objects.get(pk=account)
            row.owner = self.people[to]
            row.save()
        else:
            Account.objects.filter(pk=account).update(owner=self.people[to])
        self.owner_of[account] = to

    # --- keys

    @precondition(lambda self: len(self.live) < MOST_KEYS)
    @rule(target=keys, owner=st.sampled_from(["alice", "bob"]))
    def create_key_for_all(self, owner):
        return self.create_key(owner, None)

    @precondition(lambda self: len(self.live) < MOST_KEYS)
    @rule(target=keys, data=st.data(), owner=st.sampled_from(["alice", "bob"]))
    def create_restricted_key(self, data, owner):
        own = sorted(self.own(owner))
        if not own:
            return multiple()
        return self.create_key(owner, data.draw(st.lists(st.sampled_from(own), min_size=1)))

    def create_key(self, owner, chosen):
        created, secret = ApiKey.objects.create_key(
            owner=self.people[owner], name=f"Key {next(self.names)}", accounts=chosen
        )
        key = Key(created.pk, owner, secret, None if chosen is None else set(chosen))
        self.live.append(key)
        return key

    @rule(key=keys, data=st.data())
    def edit_scope(self, key, data):
        own = sorted(self.own(key.owner))
        if own:
            self.restrict(key, data.draw(st.lists(st.sampled_from(own), min_size=1, max_size=3)))

    @rule(key=keys, chosen=st.lists(accounts, max_size=4))
    def edit_scope_with_accounts_of_any_owner(self, key, chosen):
        self.restrict(key, chosen)

    def restrict(self, key, chosen):
        allowed = bool(chosen) and all(self.owner_of.get(pk) == key.owner for pk in chosen)
        try:
            key.record.restrict_to(chosen)
        except ValidationError:
            assert not allowed
        else:
            assert allowed
            key.scope = set(chosen)

    @rule(key=keys)
    def edit_scope_with_an_unknown_account(self, key):
        with pytest.raises(ValidationError):
            key.record.restrict_to([*self.owner_of, uuid4()])

    @rule(key=keys)
    def share_all(self, key):
        key.record.share_all()
        key.scope = None

    @rule(key=keys)
    def rename(self, key):
        key.record.rename(f"Renamed {next(self.names)}")

    @rule(key=keys)
    def rotate(self, key):
        self.dead.append(key.secret)
        key.secret = key.record.rotate()
        self.is_dead(self.dead[-1])

    @rule(key=consumes(keys))
    def delete_key(self, key):
        key.record.delete()
        self.dead.append(key.secret)
        self.live.remove(key)
        self.is_dead(key.secret)

    @precondition(lambda self: len(self.owner_of) < MOST_ACCOUNTS)
    @rule(target=accounts, key=keys)
    def post_account_with_a_key(self, key):
        response = ApiClient(key.secret).send("POST", "/v2/accounts", MANUAL_ACCOUNT)
        assert response.status_code == 201
        account = UUID(response.json()["account"]["id"])
        self.owner_of[account] = key.owner
        if key.scope is not None:
            key.scope.add(account)
        return account

    @rule(flag=st.sampled_from(["is_staff", "is_superuser"]), owner=st.sampled_from(["alice", "bob"]), on=st.booleans())
    def make_an_owner_an_operator(self, owner, flag, on):
        User.objects.filter(pk=self.people[owner].pk).update(**{flag: on})

    # --- the API

    def expected(self, key):
        own = self.own(key.owner)
        return own if key.scope is None else own & key.scope

    @invariant()
    def every_key_lists_what_the_rules_say(self):
        for key in self.live:
            response = ApiClient(key.secret).get("/v2/accounts?status=all")
            assert response.status_code == 200
            listed = [UUID(account["id"]) for account in response.json()["accounts"]]
            assert len(listed) == len(set(listed))
            assert set(listed) == self.expected(key)

    @invariant()
    def one_key_in_turn_finds_two_accounts_or_none(self):
        self.steps += 1
        if self.live and self.owner_of:
            accounts = [*self.owner_of, uuid4()]
            turn = (self.steps, self.steps // 2)
            self.finds(self.live[self.steps % len(self.live)], {accounts[n % len(accounts)] for n in turn})

    def finds(self, key, accounts):
        client, expected = ApiClient(key.secret), self.expected(key)
        for account in accounts:
            assert client.get(f"/v2/accounts/{account}").status_code == (200 if account in expected else 404)

    def is_dead(self, secret):
        assert ApiClient(secret).get("/v2/me").status_code == 401


BOUNDED = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
)


@pytest.mark.slow
@pytest.mark.rule("S1")
@pytest.mark.rule("S3")
@pytest.mark.rule("S5")
@pytest.mark.rule("S6")
@pytest.mark.django_db
def test_random_story():
    run_state_machine_as_test(Story, settings=BOUNDED)


@pytest.mark.rule("S1")
@pytest.mark.rule("S3")
@pytest.mark.rule("S5")
@pytest.mark.rule("S6")
@pytest.mark.slow
@pytest.mark.django_db
def test_many_random_stories():
    run_state_machine_as_test(Story, settings=settings(BOUNDED, max_examples=120, stateful_step_count=50))
