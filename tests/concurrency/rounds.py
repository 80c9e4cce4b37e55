"""Two people at once, thousands of times: ``python -m tests.concurrency.rounds ROUNDS SEED [SCENARIO …]``.

Each round makes an owner, lets two or three things happen to the owner's keys at the same time, each in a thread with a
connection of its own, and then asserts what must be true whichever came first. What came of the rounds goes to standard
output as JSON: how often each outcome was seen, and every broken promise with its scenario and seed.

Needs a migrated database and the environment of the site; several processes may work on one database.
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
SHOWN = re.compile(r'id="secret">(finta_\w+)<')
ERRORS = re.compile(r'class="errorlist.*?</ul>', re.DOTALL)
HEAD_START = 0.004  # seconds by which one of those who act at once may be ahead
POOL = ThreadPoolExecutor(3)


def scenario(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
    SCENARIOS[play.__name__.replace("_", " ")] = play
    return play


@dataclass
class Done:
    """What came of an action: ``kind`` is ``secret``, ``saved``, ``refused``, ``already``, ``gone``, or a status."""

    kind: str
    secret: str = ""
    body: Any = None


class Stage:
    """A new owner with three accounts and a key that sees the first two."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.owner = User.objects.create(email=f"{uuid.uuid4()}@example.com")
        fields = {"owner": self.owner, "type": "depository", "currency": "USD", "current_balance": 1}
        self.accounts = [str(Account.objects.create(name=f"Account {n}", **fields).pk) for n in range(3)]
        self.key, self.secret = ApiKey.objects.create_key(owner=self.owner, name="First", accounts=self.accounts[:2])
        self._browser = _client()
        self._browser.force_login(self.owner)

    def together(self, *actions: Callable[[], Done]) -> list[Done]:
        """Let the actions begin at about the same time, and return what came of each."""
        barrier = threading.Barrier(len(actions))
        delays = [self._chance.choice((0, self._chance.random() * HEAD_START)) for _ in actions]

        def act(action: Callable[[], Done], delay: float) -> Done:
            try:
                barrier.wait(10)
                time.sleep(delay)
                return action()
            finally:
                connection.close()  # of this thread; the next round begins with a new one

        results = [
            future.result(60) for future in [POOL.submit(act, *each) for each in zip(actions, delays, strict=True)]
        ]
        self.seen = " / ".join(result.kind for result in results)
        failed = [result for result in results if result.kind.startswith("5")]
        assert not failed, f"{self.seen}: {[result.body for result in failed]}"
        return results

    # What people and scripts do

    def rotate(self) -> Done:
        return self._page(f"keys/{self.key.pk}/rotate", rotation=self.key.rotation)

    def rename(self, name: str, key: ApiKey | None = None) -> Done:
        return self._page(f"keys/{(key or self.key).pk}/rename", name=name)

    def edit_scope(self, accounts: list[str] | None) -> Done:
        return self._page(f"keys/{self.key.pk}/edit-scope", **scope(accounts))

    def delete(self) -> Done:
        return self._page(f"keys/{self.key.pk}/delete", rotation=self.key.rotation)

    def create(self, name: str, accounts: list[str] | None = None) -> Done:
        return self._page("keys/new", nonce=nonces.make(self.owner.pk), name=name, **scope(accounts))

    def switch_off(self) -> Done:
        response = self._client().post("/settings/data/switch-off")
        return Done("off" if response.status_code == 302 else str(response.status_code), body=_problem(response))

    def use(self) -> Done:
        response = _call(self.secret)
        return Done(str(response.status_code), body=response.json())

    def add_account(self) -> Done:
        data = {"name": "Added", "type": "depository", "currency": "USD", "currentBalance": 1}
        response = _call(self.secret, method="post", data=data, content_type="application/json")
        return Done(str(response.status_code), body=response.json())

    def delete_account(self, pk: str) -> Done:
        return _try(lambda: Account.objects.get(pk=pk).delete(), "deleted")

    def delete_owner(self) -> Done:
        return _try(lambda: User.objects.get(pk=self.owner.pk).delete(), "deleted")

    def _page(self, path: str, **fields: Any) -> Done:
        response = self._client().post(f"/settings/api/{path}", fields)
        if response.status_code == 200:
            page = response.content.decode()
            shown = SHOWN.search(page)
            return Done("secret", shown[1]) if shown else Done("refused", body=ERRORS.findall(page))
        kinds = {302: "saved" if response.headers.get("Location", "").startswith("/settings/api") else "signed out"}
        kind = {404: "gone", 409: "already", **kinds}.get(response.status_code, str(response.status_code))
        return Done(kind, body=_problem(response))

    def _client(self) -> Client:
        client = _client()
        client.cookies = self._browser.cookies.copy()
        return client

    # What must be true afterwards

    def lives(self, secret: str) -> None:
        assert _call(secret).status_code == 200, f"A good secret is refused ({self.seen})."

    def is_dead(self, *secrets: str) -> None:
        for secret in secrets:
            assert _call(secret).status_code == 401, f"A dead secret works ({self.seen})."

    def now(self) -> ApiKey:
        return ApiKey.objects.get(pk=self.key.pk)

    def sees(self, *accounts: str) -> None:
        """Assert that the key is restricted to these, in the database and at the API."""
        rows = {str(pk) for pk in KeyAccountScope.objects.filter(key=self.key).values_list("account_id", flat=True)}
        assert rows == set(accounts), f"The scope has {len(rows)} rows ({self.seen})."
        assert not self.now().share_all_accounts, f"The scope is open ({self.seen})."

    def sees_at_the_api(self, secret: str, *accounts: str) -> None:
        found = {account["id"] for account in _call(secret).json()["accounts"]}
        assert found == set(accounts), f"The API shows {len(found)} accounts ({self.seen})."


def _call(secret: str, method: str = "get", **more: Any) -> Any:
    headers = {"authorization": f"Bearer {secret}"}
    return getattr(_client(), method)("/v2/accounts", headers=headers, **more)


def _client() -> Client:
    return Client(raise_request_exception=False, SERVER_NAME="127.0.0.1")


def _problem(response: Any) -> str:
    if response.status_code < 500:
        return ""
    kind, error, trace = getattr(response, "exc_info", None) or (None, None, None)
    return "".join(traceback.format_exception(kind, error, trace)[-3:]) if error else "no exception"


def _try(action: Callable[[], Any], kind: str) -> Done:
    try:
        action()
    except (Account.DoesNotExist, User.DoesNotExist):
        return Done("gone")
    except Exception:
        return Done("500", body=traceback.format_exc(limit=-3))
    return Done(kind)


def kinds(done: Iterable[Done]) -> list[str]:
    return [each.kind for each in done]


def one_of(done: list[Done], *allowed: str) -> None:
    """Assert that the kinds, in order, are among the allowed ones."""
    found = " / ".join(kinds(done))
    assert found in allowed, f"Not foreseen: {found} {[each.body for each in done if each.kind == 'refused']}"


# Rotate against …


@scenario
def rotate_and_rotate(stage: Stage) -> None:
    done = stage.together(stage.rotate, stage.rotate)
    one_of(done, "secret / already", "already / secret")
    stage.is_dead(stage.secret)
    stage.lives("".join(each.secret for each in done))
    assert stage.now().rotation == 1


@scenario
def rotate_and_rename(stage: Stage) -> None:
    rotated, _ = done = stage.together(stage.rotate, lambda: stage.rename("Second"))
    one_of(done, "secret / saved")
    stage.is_dead(stage.secret)
    stage.lives(rotated.secret)
    assert stage.now().name == "Second"


@scenario
def rotate_and_edit_scope(stage: Stage) -> None:
    wanted = stage.accounts[1:]
    rotated, _ = done = stage.together(stage.rotate, lambda: stage.edit_scope(wanted))
    one_of(done, "secret / saved")
    stage.is_dead(stage.secret)
    stage.sees(*wanted)
    stage.sees_at_the_api(rotated.secret, *wanted)


@scenario
def rotate_and_use(stage: Stage) -> None:
    rotated, *_ = done = stage.together(stage.rotate, stage.use, stage.use)
    assert set(kinds(done[1:])) <= {"200", "401"}
    stage.is_dead(stage.secret)
    stage.lives(rotated.secret)


@scenario
def rotate_and_delete(stage: Stage) -> None:
    rotated, _ = done = stage.together(stage.rotate, stage.delete)
    one_of(done, "secret / already", "gone / saved")
    stage.is_dead(stage.secret)
    if rotated.kind == "secret":
        stage.lives(rotated.secret)
    else:
        assert not ApiKey.objects.filter(pk=stage.key.pk).exists()


@scenario
def rename_and_delete_and_edit_scope(stage: Stage) -> None:
    done = stage.together(lambda: stage.rename("Second"), stage.delete, lambda: stage.edit_scope(None))
    assert done[1].kind == "saved"
    assert {done[0].kind, done[2].kind} <= {"saved", "gone"}
    stage.is_dead(stage.secret)
    assert not KeyAccountScope.objects.filter(key_id=stage.key.pk).exists()


# Names


@scenario
def two_creates_with_one_name(stage: Stage) -> None:
    done = stage.together(lambda: stage.create("Same"), lambda: stage.create("SAME"))
    one_of(done, "secret / refused", "refused / secret")
    stage.lives("".join(each.secret for each in done))
    assert ApiKey.objects.filter(owner=stage.owner, name_key="same").count() == 1


@scenario
def two_renames_to_one_name(stage: Stage) -> None:
    other, _ = ApiKey.objects.create_key(owner=stage.owner, name="Other")
    done = stage.together(lambda: stage.rename("Same"), lambda: stage.rename("same", other))
    one_of(done, "saved / refused", "refused / saved")
    stage.lives(stage.secret)


# Scope


@scenario
def edit_scope_and_edit_scope(stage: Stage) -> None:
    first, second = stage.accounts[:1], stage.accounts[1:]
    done = stage.together(lambda: stage.edit_scope(first), lambda: stage.edit_scope(second))
    one_of(done, "saved / saved")
    rows = KeyAccountScope.objects.filter(key=stage.key).count()
    stage.sees(*(first if rows == len(first) else second))


@scenario
def edit_scope_and_open_scope(stage: Stage) -> None:
    done = stage.together(lambda: stage.edit_scope(stage.accounts[2:]), lambda: stage.edit_scope(None))
    one_of(done, "saved / saved")
    if stage.now().share_all_accounts:
        assert not KeyAccountScope.objects.filter(key=stage.key).exists()
        stage.sees_at_the_api(stage.secret, *stage.accounts)
    else:
        stage.sees(*stage.accounts[2:])


@scenario
def edit_scope_and_delete_its_account(stage: Stage) -> None:
    chosen = stage.accounts[2]
    done = stage.together(lambda: stage.edit_scope([chosen]), lambda: stage.delete_account(chosen))
    one_of(done, "saved / deleted", "refused / deleted")
    # Refused: as it was. Saved: its only account went away, and it sees nothing (S1).
    left = stage.accounts[:2] if done[0].kind == "refused" else []
    stage.sees(*left)
    stage.sees_at_the_api(stage.secret, *left)


@scenario
def delete_all_accounts_of_a_scope(stage: Stage) -> None:
    one, other, _ = stage.accounts
    done = stage.together(
        lambda: stage.delete_account(one), lambda: stage.delete_account(other), lambda: stage.rename("Second")
    )
    one_of(done, "deleted / deleted / saved")
    stage.sees()
    stage.sees_at_the_api(stage.secret)


@scenario
def add_account_by_key_and_edit_scope(stage: Stage) -> None:
    added, _ = done = stage.together(stage.add_account, lambda: stage.edit_scope(stage.accounts[2:]))
    one_of(done, "201 / saved")
    new = added.body["account"]["id"]
    # It joined before the edit, which did not choose it, or after it; nothing else is there.
    joined = KeyAccountScope.objects.filter(key=stage.key, account_id=new).exists()
    stage.sees(*stage.accounts[2:], *([new] if joined else []))


@scenario
def add_account_by_key_and_add_account_by_key(stage: Stage) -> None:
    done = stage.together(stage.add_account, stage.add_account, stage.rotate)
    assert {done[0].kind, done[1].kind} <= {"201", "401"}
    stage.sees(*stage.accounts[:2], *(each.body["account"]["id"] for each in done[:2] if each.kind == "201"))


# Storage Mode


@scenario
def create_and_switch_storage_mode_off(stage: Stage) -> None:
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=True)
    account = Account.objects.get(pk=stage.accounts[0])
    Transaction.objects.create(account=account, provider="plaid", status="pending", amount=1, currency="USD")
    created, _ = done = stage.together(lambda: stage.create("Second"), stage.switch_off)
    one_of(done, "secret / off")
    answer = _call(created.secret)
    assert answer.status_code in (200, 403)
    assert User.objects.get(pk=stage.owner.pk).storage_mode == (answer.status_code == 200)
    assert not Transaction.objects.filter(account=account).exists()


@scenario
def two_creates_and_switch_storage_mode_off(stage: Stage) -> None:
    stage.together(stage.switch_off, lambda: stage.create("Second"), lambda: stage.create("Third"))
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=False)
    created = stage.create("Fourth")
    stage.lives(created.secret)
    stage.lives(stage.secret)


# The owner goes away


def _owner_goes(stage: Stage, *others: Callable[[], Done]) -> list[Done]:
    done = stage.together(stage.delete_owner, *others)
    assert done[0].kind == "deleted"
    assert not User.objects.filter(pk=stage.owner.pk).exists()
    assert not ApiKey.objects.filter(owner_id=stage.owner.pk).exists()
    assert not Account.objects.filter(owner_id=stage.owner.pk).exists()
    assert not KeyAccountScope.objects.filter(key_id=stage.key.pk).exists()
    stage.is_dead(stage.secret, *(each.secret for each in done if each.secret))
    return done


@scenario
def delete_owner_and_create(stage: Stage) -> None:
    _owner_goes(stage, lambda: stage.create("Second"), lambda: stage.create("Third", stage.accounts[:1]))


@scenario
def delete_owner_and_rotate_and_use(stage: Stage) -> None:
    _owner_goes(stage, stage.rotate, stage.use)


@scenario
def delete_owner_and_edit_scope_and_rename(stage: Stage) -> None:
    _owner_goes(stage, lambda: stage.edit_scope(stage.accounts[2:]), lambda: stage.rename("Second"))


@scenario
def delete_owner_and_add_account_by_key(stage: Stage) -> None:
    _owner_goes(stage, stage.add_account, lambda: stage.delete_account(stage.accounts[0]))


@scenario
def delete_owner_and_delete_and_switch_off(stage: Stage) -> None:
    _owner_goes(stage, stage.delete, stage.switch_off)


@scenario
def delete_owner_twice(stage: Stage) -> None:
    done = stage.together(stage.delete_owner, stage.delete_owner)
    assert set(kinds(done)) <= {"deleted", "gone"}
    assert not User.objects.filter(pk=stage.owner.pk).exists()


def main(rounds: int, seed: int, names: Iterable[str] = ()) -> dict[str, Any]:
    """Play each scenario so many times, in a random order."""
    chance = random.Random(seed)  # noqa: S311  # repeatable on purpose
    plays = [name for name in names or SCENARIOS for _ in range(rounds)]
    chance.shuffle(plays)
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    for number, name in enumerate(plays):
        stage = Stage(chance)
        try:
            SCENARIOS[name](stage)
        except Exception:
            broken.append(f"{name}, seed {seed}, round {number}: {traceback.format_exc(limit=-2)}")
        outcomes[f"{name}: {getattr(stage, 'seen', 'nothing')}"] += 1
    connection.close()
    return {"rounds": len(plays), "outcomes": outcomes, "broken": broken}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
