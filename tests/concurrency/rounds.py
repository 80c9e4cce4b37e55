"""Concurrent actions, thousands of times: ``python -m tests.concurrency.rounds ROUNDS SEED [SCENARIO …]``.

Each round creates an owner and runs two or three actions on the owner's keys at the same time, each in
a thread with its own connection. Then it checks conditions that hold in any order. The results are
printed as JSON: how often each outcome occurred, and every failure with its scenario and seed.

Requires a migrated database and the site's environment. Several processes can share a database.
"""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402  # after setup()
from django.test import Client  # noqa: E402

from accounts_app.models import Account, Transaction, User  # noqa: E402
from finta_keys import nonces  # noqa: E402
from finta_keys.models import ApiKey, KeyAccountScope  # noqa: E402
from tests.live.site import scope  # noqa: E402

SCENARIOS: dict[str, Callable[[Stage], None]] = {}
SECRET = re.compile(r'id="secret">(finta_\w+)<')
ERRORS = re.compile(r'class="errorlist.*?</ul>', re.DOTALL)
HEAD_START = 0.004  # seconds that one action may be ahead of another
POOL = ThreadPoolExecutor(3)


def scenario(function: Callable[[Stage], None]) -> Callable[[Stage], None]:
    SCENARIOS[function.__name__.replace("_", " ")] = function
    return function


@dataclass
class Result:
    """The result of an action. ``kind`` is ``secret``, ``saved``, ``refused``, ``already``, ``gone``, or a status."""

    kind: str
    secret: str = ""
    body: Any = None


class Stage:
    """A new owner with three accounts and a key for the first two."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.owner = User.objects.create(email=f"{uuid.uuid4()}@example.com")
        fields = {"owner": self.owner, "type": "depository", "currency": "USD", "current_balance": 1}
        self.accounts = [str(Account.objects.create(name=f"Account {n}", **fields).pk) for n in range(3)]
        self.key, self.secret = ApiKey.objects.create_key(owner=self.owner, name="First", accounts=self.accounts[:2])
        self._browser = _client()
        self._browser.force_login(self.owner)

    def together(self, *actions: Callable[[], Result]) -> list[Result]:
        """Start the actions at about the same time and return their results."""
        barrier = threading.Barrier(len(actions))
        delays = [self._rng.choice((0, self._rng.random() * HEAD_START)) for _ in actions]

        def act(action: Callable[[], Result], delay: float) -> Result:
            try:
                barrier.wait(10)
                time.sleep(delay)
                return action()
            finally:
                connection.close()  # this thread's; the next round opens a new one

        futures = [POOL.submit(act, action, delay) for action, delay in zip(actions, delays, strict=True)]
        results = [future.result(60) for future in futures]
        self.outcome = " / ".join(result.kind for result in results)
        failed = [result for result in results if result.kind.startswith("5")]
        assert not failed, f"{self.outcome}: {[result.body for result in failed]}"
        return results

    # Actions of users and scripts

    def rotate(self) -> Result:
        return self._page(f"keys/{self.key.pk}/rotate", rotation=self.key.rotation)

    def rename(self, name: str, key: ApiKey | None = None) -> Result:
        return self._page(f"keys/{(key or self.key).pk}/rename", name=name)

    def edit_scope(self, accounts: list[str] | None) -> Result:
        return self._page(f"keys/{self.key.pk}/edit-scope", scope_edits=self.key.scope_edits, **scope(accounts))

    def delete(self) -> Result:
        return self._page(f"keys/{self.key.pk}/delete", rotation=self.key.rotation)

    def create(self, name: str, accounts: list[str] | None = None) -> Result:
        return self._page("keys/new", nonce=nonces.make(self.owner.pk), name=name, **scope(accounts))

    def switch_off(self) -> Result:
        response = self._client().post("/settings/data/switch-off")
        return Result("off" if response.status_code == 302 else str(response.status_code), body=_problem(response))

    def use(self) -> Result:
        response = _call(self.secret)
        return Result(str(response.status_code), body=response.json())

    def add_account(self) -> Result:
        data = {"name": "Added", "type": "depository", "currency": "USD", "currentBalance": 1}
        response = _call(self.secret, method="post", data=data, content_type="application/json")
        return Result(str(response.status_code), body=response.json())

    def delete_account(self, pk: str) -> Result:
        return _try(lambda: Account.objects.get(pk=pk).delete(), "deleted")

    def delete_owner(self) -> Result:
        return _try(lambda: User.objects.get(pk=self.owner.pk).delete(), "deleted")

    def _page(self, path: str, **fields: Any) -> Result:
        response = self._client().post(f"/settings/api/{path}", fields)
        if response.status_code == 200:
            page = response.content.decode()
            match = SECRET.search(page)
            return Result("secret", match[1]) if match else Result("refused", body=ERRORS.findall(page))
        kinds = {302: "saved" if response.headers.get("Location", "").startswith("/settings/api") else "signed out"}
        kind = {404: "gone", 409: "already", **kinds}.get(response.status_code, str(response.status_code))
        return Result(kind, body=_problem(response))

    def _client(self) -> Client:
        client = _client()
        client.cookies = self._browser.cookies.copy()
        return client

    # Assertions

    def assert_valid(self, secret: str) -> None:
        assert _call(secret).status_code == 200, f"A valid secret is rejected ({self.outcome})."

    def assert_invalid(self, *secrets: str) -> None:
        for secret in secrets:
            assert _call(secret).status_code == 401, f"An invalid secret works ({self.outcome})."

    def current_key(self) -> ApiKey:
        return ApiKey.objects.get(pk=self.key.pk)

    def assert_scope(self, *accounts: str) -> None:
        """Assert that the key is restricted to exactly these accounts."""
        rows = {str(pk) for pk in KeyAccountScope.objects.filter(key=self.key).values_list("account_id", flat=True)}
        assert rows == set(accounts), f"The scope has {len(rows)} rows ({self.outcome})."
        assert not self.current_key().share_all_accounts, f"The key is not restricted ({self.outcome})."

    def assert_api_shows(self, secret: str, *accounts: str) -> None:
        ids = {account["id"] for account in _call(secret).json()["accounts"]}
        assert ids == set(accounts), f"The API shows {len(ids)} accounts ({self.outcome})."


def _call(secret: str, method: str = "get", **kwargs: Any) -> Any:
    headers = {"authorization": f"Bearer {secret}"}
    return getattr(_client(), method)("/v2/accounts", headers=headers, **kwargs)


def _client() -> Client:
    return Client(raise_request_exception=False, SERVER_NAME="127.0.0.1")


def _problem(response: Any) -> str:
    if response.status_code < 500:
        return ""
    kind, error, trace = getattr(response, "exc_info", None) or (None, None, None)
    return "".join(traceback.format_exception(kind, error, trace)[-3:]) if error else "no exception"


def _try(action: Callable[[], Any], kind: str) -> Result:
    try:
        action()
    except (Account.DoesNotExist, User.DoesNotExist):
        return Result("gone")
    except Exception:
        return Result("500", body=traceback.format_exc(limit=-3))
    return Result(kind)


def kinds(results: Iterable[Result]) -> list[str]:
    return [result.kind for result in results]


def assert_one_of(results: list[Result], *allowed: str) -> None:
    """Assert that the kinds, in order, are one of the allowed outcomes."""
    outcome = " / ".join(kinds(results))
    refused = [result.body for result in results if result.kind == "refused"]
    assert outcome in allowed, f"Unexpected outcome: {outcome} {refused}"


# Rotate and another action


@scenario
def rotate_and_rotate(stage: Stage) -> None:
    results = stage.together(stage.rotate, stage.rotate)
    assert_one_of(results, "secret / already", "already / secret")
    stage.assert_invalid(stage.secret)
    stage.assert_valid("".join(result.secret for result in results))
    assert stage.current_key().rotation == 1


@scenario
def rotate_and_rename(stage: Stage) -> None:
    rotated, _ = results = stage.together(stage.rotate, lambda: stage.rename("Second"))
    assert_one_of(results, "secret / saved")
    stage.assert_invalid(stage.secret)
    stage.assert_valid(rotated.secret)
    assert stage.current_key().name == "Second"


@scenario
def rotate_and_edit_scope(stage: Stage) -> None:
    accounts = stage.accounts[1:]
    rotated, _ = results = stage.together(stage.rotate, lambda: stage.edit_scope(accounts))
    assert_one_of(results, "secret / saved")
    stage.assert_invalid(stage.secret)
    stage.assert_scope(*accounts)
    stage.assert_api_shows(rotated.secret, *accounts)


@scenario
def rotate_and_use(stage: Stage) -> None:
    rotated, *_ = results = stage.together(stage.rotate, stage.use, stage.use)
    assert set(kinds(results[1:])) <= {"200", "401"}
    stage.assert_invalid(stage.secret)
    stage.assert_valid(rotated.secret)


@scenario
def rotate_and_delete(stage: Stage) -> None:
    rotated, _ = results = stage.together(stage.rotate, stage.delete)
    assert_one_of(results, "secret / already", "gone / saved")
    stage.assert_invalid(stage.secret)
    if rotated.kind == "secret":
        stage.assert_valid(rotated.secret)
    else:
        assert not ApiKey.objects.filter(pk=stage.key.pk).exists()


@scenario
def rename_and_delete_and_edit_scope(stage: Stage) -> None:
    results = stage.together(lambda: stage.rename("Second"), stage.delete, lambda: stage.edit_scope(None))
    assert results[1].kind == "saved"
    assert {results[0].kind, results[2].kind} <= {"saved", "gone"}
    stage.assert_invalid(stage.secret)
    assert not KeyAccountScope.objects.filter(key_id=stage.key.pk).exists()


# Names


@scenario
def two_creates_with_one_name(stage: Stage) -> None:
    results = stage.together(lambda: stage.create("Same"), lambda: stage.create("SAME"))
    assert_one_of(results, "secret / refused", "refused / secret")
    stage.assert_valid("".join(result.secret for result in results))
    assert ApiKey.objects.filter(owner=stage.owner, name_key="same").count() == 1


@scenario
def two_renames_to_one_name(stage: Stage) -> None:
    other, _ = ApiKey.objects.create_key(owner=stage.owner, name="Other")
    results = stage.together(lambda: stage.rename("Same"), lambda: stage.rename("same", other))
    assert_one_of(results, "saved / refused", "refused / saved")
    stage.assert_valid(stage.secret)


# Scope


@scenario
def edit_scope_and_edit_scope(stage: Stage) -> None:
    first, second = stage.accounts[:1], stage.accounts[1:]
    results = stage.together(lambda: stage.edit_scope(first), lambda: stage.edit_scope(second))
    assert_one_of(results, "saved / already", "already / saved")
    stage.assert_scope(*(first if results[0].kind == "saved" else second))


@scenario
def edit_scope_and_open_scope(stage: Stage) -> None:
    results = stage.together(lambda: stage.edit_scope(stage.accounts[2:]), lambda: stage.edit_scope(None))
    assert_one_of(results, "saved / already", "already / saved")
    assert stage.current_key().share_all_accounts == (results[1].kind == "saved")
    if stage.current_key().share_all_accounts:
        assert not KeyAccountScope.objects.filter(key=stage.key).exists()
        stage.assert_api_shows(stage.secret, *stage.accounts)
    else:
        stage.assert_scope(*stage.accounts[2:])


@scenario
def edit_scope_and_delete_its_account(stage: Stage) -> None:
    chosen = stage.accounts[2]
    results = stage.together(lambda: stage.edit_scope([chosen]), lambda: stage.delete_account(chosen))
    assert_one_of(results, "saved / deleted", "refused / deleted")
    # Refused: the scope is unchanged. Saved: its only account was deleted, so it is empty (S1).
    remaining = stage.accounts[:2] if results[0].kind == "refused" else []
    stage.assert_scope(*remaining)
    stage.assert_api_shows(stage.secret, *remaining)


@scenario
def delete_all_accounts_of_a_scope(stage: Stage) -> None:
    one, other, _ = stage.accounts
    results = stage.together(
        lambda: stage.delete_account(one), lambda: stage.delete_account(other), lambda: stage.rename("Second")
    )
    assert_one_of(results, "deleted / deleted / saved")
    stage.assert_scope()
    stage.assert_api_shows(stage.secret)


@scenario
def add_account_by_key_and_edit_scope(stage: Stage) -> None:
    added, _ = results = stage.together(stage.add_account, lambda: stage.edit_scope(stage.accounts[2:]))
    assert_one_of(results, "201 / saved")
    new = added.body["account"]["id"]
    # The account joined the scope before the edit, which removed it, or after the edit.
    joined = KeyAccountScope.objects.filter(key=stage.key, account_id=new).exists()
    stage.assert_scope(*stage.accounts[2:], *([new] if joined else []))


@scenario
def add_account_by_key_and_add_account_by_key(stage: Stage) -> None:
    results = stage.together(stage.add_account, stage.add_account, stage.rotate)
    assert {results[0].kind, results[1].kind} <= {"201", "401"}
    added = [result.body["account"]["id"] for result in results[:2] if result.kind == "201"]
    stage.assert_scope(*stage.accounts[:2], *added)


# Storage Mode


@scenario
def create_and_switch_storage_mode_off(stage: Stage) -> None:
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=True)
    account = Account.objects.get(pk=stage.accounts[0])
    Transaction.objects.create(account=account, provider="plaid", status="pending", amount=1, currency="USD")
    created, _ = results = stage.together(lambda: stage.create("Second"), stage.switch_off)
    assert_one_of(results, "secret / off")
    response = _call(created.secret)
    assert response.status_code in (200, 403)
    assert User.objects.get(pk=stage.owner.pk).storage_mode == (response.status_code == 200)
    assert not Transaction.objects.filter(account=account).exists()


@scenario
def two_creates_and_switch_storage_mode_off(stage: Stage) -> None:
    stage.together(stage.switch_off, lambda: stage.create("Second"), lambda: stage.create("Third"))
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=False)
    created = stage.create("Fourth")
    stage.assert_valid(created.secret)
    stage.assert_valid(stage.secret)


# Deleting the owner


def _delete_owner_during(stage: Stage, *others: Callable[[], Result]) -> list[Result]:
    results = stage.together(stage.delete_owner, *others)
    assert results[0].kind == "deleted"
    assert not User.objects.filter(pk=stage.owner.pk).exists()
    assert not ApiKey.objects.filter(owner_id=stage.owner.pk).exists()
    assert not Account.objects.filter(owner_id=stage.owner.pk).exists()
    assert not KeyAccountScope.objects.filter(key_id=stage.key.pk).exists()
    stage.assert_invalid(stage.secret, *(result.secret for result in results if result.secret))
    return results


@scenario
def delete_owner_and_create(stage: Stage) -> None:
    _delete_owner_during(stage, lambda: stage.create("Second"), lambda: stage.create("Third", stage.accounts[:1]))


@scenario
def delete_owner_and_rotate_and_use(stage: Stage) -> None:
    _delete_owner_during(stage, stage.rotate, stage.use)


@scenario
def delete_owner_and_edit_scope_and_rename(stage: Stage) -> None:
    _delete_owner_during(stage, lambda: stage.edit_scope(stage.accounts[2:]), lambda: stage.rename("Second"))


@scenario
def delete_owner_and_add_account_by_key(stage: Stage) -> None:
    _delete_owner_during(stage, stage.add_account, lambda: stage.delete_account(stage.accounts[0]))


@scenario
def delete_owner_and_delete_and_switch_off(stage: Stage) -> None:
    _delete_owner_during(stage, stage.delete, stage.switch_off)


@scenario
def delete_owner_twice(stage: Stage) -> None:
    results = stage.together(stage.delete_owner, stage.delete_owner)
    assert set(kinds(results)) <= {"deleted", "gone"}
    assert not User.objects.filter(pk=stage.owner.pk).exists()


def main(rounds: int, seed: int, names: Iterable[str] = ()) -> dict[str, Any]:
    """Run each scenario ``rounds`` times, in random order."""
    rng = random.Random(seed)  # noqa: S311  # repeatable on purpose
    runs = [name for name in names or SCENARIOS for _ in range(rounds)]
    rng.shuffle(runs)
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for number, name in enumerate(runs):
        stage = Stage(rng)
        try:
            SCENARIOS[name](stage)
        except Exception:
            failures.append(f"{name}, seed {seed}, round {number}: {traceback.format_exc(limit=-2)}")
        outcomes[f"{name}: {getattr(stage, 'outcome', 'none')}"] += 1
    connection.close()
    return {"rounds": len(runs), "outcomes": outcomes, "failures": failures}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
