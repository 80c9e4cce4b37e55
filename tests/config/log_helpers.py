from __future__ import annotations

import json
import re

from django.core import mail

from finta_keys import secret as format_of_secrets

ID = re.compile("[0-9a-f]{32}")
# Fixed, because test ids contain it.
SECRET = "finta_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0sa1ru"
HINT = "finta_0123…a1ru"
PEPPER = "11" * 32  # of tests/settings.py


class Log:
    def __init__(self, machine, person):
        self._machine, self._person = machine, person

    def lines(self, *loggers):
        matches = [json.loads(line) for line in self._machine.getvalue().splitlines()]
        return [line for line in matches if not loggers or line["logger"] in loggers]

    def request(self):
        """The fields of the last request."""
        return self.lines("finta.request")[-1]

    def text(self):
        return self._person.getvalue()

    def everything(self):
        mails = [
            part
            for message in mail.outbox
            for part in (message.subject, message.body, *(a[0] for a in message.alternatives))
        ]
        return "\n".join((self._machine.getvalue(), self._person.getvalue(), *mails))


def traces(secret):
    """Return text that must not appear: parts of the secret, its digest, the pepper."""
    digest = format_of_secrets.digest(secret, bytes.fromhex(PEPPER)).hex()
    return [*(str(secret[begin : begin + 12]) for begin in (10, 22, 34)), digest, PEPPER]


def assert_nowhere(text, *forbidden):
    # A plain "in" would print a megabyte on failure.
    matches = [word for word in forbidden if word in text]
    assert not matches, [text[max(0, text.index(row) - 200) :][:300] for row in matches]
