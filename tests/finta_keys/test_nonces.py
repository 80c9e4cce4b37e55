"""The nonce of a create form (rule K5)."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.core import signing
from hypothesis import given
from hypothesis import strategies as st

from finta_keys import nonces
from finta_keys.models import CreateNonce

ALICE, BOB = uuid4(), uuid4()


def test_K5_a_nonce_is_read_back():
    nonce = nonces.read(nonces.make(ALICE), ALICE)
    assert re.fullmatch(r"[\w-]{43}", nonce)
    assert len(nonce) == CreateNonce._meta.get_field("value").max_length


def test_K5_reading_a_form_again_gives_the_same_nonce():
    form = nonces.make(ALICE)
    assert nonces.read(form, ALICE) == nonces.read(form, str(ALICE))


def test_K5_each_form_has_a_nonce_of_its_own():
    assert len({nonces.read(nonces.make(ALICE), ALICE) for _ in range(100)}) == 100


def test_K5_a_nonce_is_valid_for_an_hour():
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        form = nonces.make(ALICE)
        clock.shift(timedelta(hours=1))
        nonces.read(form, ALICE)
        clock.shift(timedelta(seconds=1))
        with pytest.raises(signing.SignatureExpired):
            nonces.read(form, ALICE)


def test_K5_somebody_elses_nonce_is_refused():
    with pytest.raises(signing.BadSignature, match="another user"):
        nonces.read(nonces.make(BOB), ALICE)


def test_K5_a_nonce_that_was_tampered_with_is_refused():
    form = nonces.make(ALICE)
    for place in range(len(form)):
        changed = form[:place] + ("A" if form[place] != "A" else "B") + form[place + 1 :]
        with pytest.raises(signing.BadSignature):
            nonces.read(changed, ALICE)


def test_K5_something_else_that_this_site_signed_is_no_nonce():
    for salt in ("django.core.signing", "finta_keys", "finta_keys.nonces2"):
        with pytest.raises(signing.BadSignature):
            nonces.read(signing.dumps([str(ALICE), "x" * 43], salt=salt), ALICE)


def test_K5_a_nonce_signed_with_another_key_is_refused():
    with pytest.raises(signing.BadSignature):
        nonces.read(signing.dumps([str(ALICE), "x" * 43], key="other", salt=nonces.SALT), ALICE)


@given(st.text())
def test_K5_anything_else_is_refused_without_another_error(text):
    with pytest.raises(signing.BadSignature):
        nonces.read(text, ALICE)
