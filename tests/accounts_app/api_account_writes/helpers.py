from __future__ import annotations

import datetime as dt
import json

from tests.accounts_app.api_assertions import manual_account

NOON = dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC)
FULL = manual_account(
    name="House loan",
    type="loan",
    subtype="mortgage",
    institutionName="Second Bank",
    mask="0042",
    availableBalance=-0.5,
    liability={"type": "mortgage", "rate": {"percentage": 3.25, "fixed": True}, "note": "für 20 Jahre 🏠", "n": None},
)


def post(client, body):
    """Send a body that need not be JSON."""
    return client.generic("POST", "/v2/accounts", body, content_type="application/json")


def body_with_raw(field, raw):
    """Return a valid JSON body with a raw value in one field."""
    return json.dumps(manual_account(**{field: "RAW"})).replace('"RAW"', raw)
