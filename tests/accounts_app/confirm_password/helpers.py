import html
import re

from tests.factories import PASSWORD

NOON = "2026-01-15 12:00:00+00:00"
ASKED = "Confirm your password"
WRONG = "not the password"
NEW = {"name": "Laptop", "share_all_accounts": "on"}


def asks_for_password(response):
    return response.status_code == 200 and ASKED in response.content.decode()


def carried_fields(response):
    """Return the hidden fields of the form as a browser reads them."""
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', response.content.decode())
    data = {}
    for name, value in inputs:
        if name != "csrfmiddlewaretoken":
            data.setdefault(html.unescape(name), []).append(html.unescape(value))
    return data


def confirm(browser, response, address, password=PASSWORD, **extra):
    """Submit the password."""
    return browser.post(address, {**carried_fields(response), "confirm_password": password, **extra})
