import re
from pathlib import Path

from django.core import mail
from django.test import Client

ALICE = "alice@example.com"
NEW_PASSWORD = "battery horse staple"
WRONG = "not the password"
SIGN_IN_PAGES = ("/login", "/admin/login/")
SETTINGS = Path(__file__).parent.parent.parent.parent / "config/settings.py"


def attempt(email=ALICE, password=WRONG, path="/login", **extra):
    return Client().post(path, {"username": email, "password": password}, **extra)


def guess(times=10, **attempted):
    for _ in range(times):
        assert attempt(**attempted).status_code == 200


def reset(times=1, email=ALICE, **extra):
    """Request reset e-mails. Return the last response."""
    return [Client().post("/password/reset", {"email": email}, **extra) for _ in range(times)][-1]


def spray(times, **extra):
    for number in range(times):
        assert attempt(email=f"user{number}@example.com", **extra).status_code == 200


def set_new_password(browser):
    browser.post("/password/reset", {"email": ALICE})
    link = re.search(r"http://testserver(\S+)", mail.outbox[-1].body).group(1)
    form = browser.get(link, follow=True)
    return browser.post(form.redirect_chain[-1][0], {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})
