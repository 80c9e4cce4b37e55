"""Stored sessions: a copy of the database lets no one sign in."""

import re

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts_app.sign_in.session_store import SessionStore
from tests.accounts_app.sign_in.helpers import ALICE, NEW_PASSWORD

COOKIE = "sessionid"


def is_signed_in(browser):
    return browser.get("/accounts").status_code == 200


def with_cookie(value):
    browser = Client()
    browser.cookies[COOKIE] = value
    return browser


def reset_link():
    Client().post("/password/reset", {"email": ALICE})
    return re.search(r"http://testserver(\S+)", mail.outbox[-1].body).group(1)


def test_stored_session_key_is_no_cookie(alices_browser):
    stored = Session.objects.get().session_key
    assert is_signed_in(alices_browser)
    assert is_signed_in(with_cookie(alices_browser.cookies[COOKIE].value))
    assert not is_signed_in(with_cookie(stored))


def test_session_key_from_before_the_upgrade_is_invalid(alices_browser):
    session = Session.objects.get()
    session.session_key = "k" * 32
    session.save(force_insert=True)
    assert not is_signed_in(with_cookie("k" * 32))


def test_new_secret_key_ends_sessions(alices_browser, settings):
    settings.SECRET_KEY = "another"
    assert not is_signed_in(alices_browser)


def test_sign_out_deletes_the_session(alices_browser):
    alices_browser.post("/logout")
    assert not Session.objects.exists()


def test_expired_session_is_invalid(alices_browser):
    Session.objects.update(expire_date="2020-01-01T00:00Z")
    assert not is_signed_in(alices_browser)


def test_new_session_key_ends_the_old_one(alices_browser):
    session = alices_browser.session
    session.cycle_key()
    assert not is_signed_in(alices_browser)
    assert is_signed_in(with_cookie(session.session_key))
    assert Session.objects.count() == 1


def test_deleted_session_is_not_saved_again(alices_browser):
    session = alices_browser.session
    session.load()
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        session.save()


@pytest.mark.django_db(transaction=True)
def test_asynchronous_methods():
    @async_to_sync
    async def use():
        session = SessionStore()
        await session.acreate()
        await session.aset("name", "value")
        await session.asave()
        old_key = session.session_key
        await session.acycle_key()
        assert not await session.aexists(old_key)
        assert await session.aexists(session.session_key)
        assert await SessionStore(session.session_key).aget("name") == "value"
        await session.adelete()
        await session.adelete(old_key)
        assert await SessionStore(session.session_key).aget("name") is None

    use()
    assert not Session.objects.exists()


def test_stored_reset_token_sets_no_password(alice):
    """The owner has opened the link of the mail, but not sent the form yet."""
    link = reset_link()
    owner = Client()
    form = owner.get(link).url
    token = Session.objects.get().get_decoded()["_password_reset_token"]
    stolen = form.replace("set-password", token)
    assert "has expired" in Client().get(stolen, follow=True).content.decode()
    response = owner.post(form, {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})
    assert response.url == "/password/reset/done"


def test_opened_reset_form_expires_with_its_link(alice):
    owner = Client()
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        link = reset_link()
        clock.shift(59 * 60)
        form = owner.get(link).url
        assert "has expired" not in owner.get(form).content.decode()
        clock.shift(2 * 60)
        assert "has expired" in owner.get(form).content.decode()
