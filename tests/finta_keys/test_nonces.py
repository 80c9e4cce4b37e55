"""The nonces of the form that creates a key."""

import re
from datetime import UTC, datetime, timedelta
from unittest import mock
from uuid import uuid4

import pytest
import time_machine
from django.core import signing
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from finta_keys import nonces
from finta_keys.models import CreateNonce
from finta_keys.testing import make_key

pytestmark = pytest.mark.rule("K5")

ALICE, BOB = uuid4(), uuid4()


def test_signed_nonce_is_read_back():
    nonce = nonces.read(nonces.make(ALICE), ALICE)
    assert re.fullmatch(r"[\w-]{43}", nonce)
    assert len(nonce) == CreateNonce._meta.get_field("value").max_length


def test_reading_twice_gives_the_same_nonce():
    form = nonces.make(ALICE)
    assert nonces.read(form, ALICE) == nonces.read(form, str(ALICE))


def test_every_form_has_its_own_nonce():
    assert len({nonces.read(nonces.make(ALICE), ALICE) for _ in range(100)}) == 100


def test_nonce_is_valid_for_an_hour():
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        form = nonces.make(ALICE)
        clock.shift(timedelta(hours=1))
        nonces.read(form, ALICE)
        clock.shift(timedelta(seconds=1))
        with pytest.raises(signing.SignatureExpired):
            nonces.read(form, ALICE)


def test_nonce_of_another_user_is_rejected():
    with pytest.raises(signing.BadSignature, match="another user"):
        nonces.read(nonces.make(BOB), ALICE)


def test_changed_nonce_is_rejected():
    form = nonces.make(ALICE)
    for position in range(len(form)):
        character = "A" if form[position] != "A" else "B"
        changed = form[:position] + character + form[position + 1 :]
        with pytest.raises(signing.BadSignature):
            nonces.read(changed, ALICE)


def test_other_signed_values_are_rejected():
    for salt in ("django.core.signing", "finta_keys", "finta_keys.nonces2"):
        with pytest.raises(signing.BadSignature):
            nonces.read(signing.dumps([str(ALICE), "x" * 43], salt=salt), ALICE)


def test_nonce_signed_with_another_key_is_rejected():
    with pytest.raises(signing.BadSignature):
        nonces.read(signing.dumps([str(ALICE), "x" * 43], key="other", salt=nonces.SALT), ALICE)


@pytest.mark.thorough
@given(st.text())
def test_any_other_text_is_rejected(text):
    with pytest.raises(signing.BadSignature):
        nonces.read(text, ALICE)


@pytest.mark.rule("K5")
def test_conflict_with_an_invisible_transaction_is_raised(alice):
    """At REPEATABLE READ the row that caused the error may be invisible. The caller then retries."""
    key, _ = make_key(alice)
    CreateNonce.spend("n" * 43, key)
    with mock.patch("django.db.models.QuerySet.first", return_value=None), pytest.raises(IntegrityError):
        CreateNonce.spend("n" * 43, key)
