"""Print the events that Sentry's SDK would send for failures around a secret.

The SDK runs with its defaults, in its own process because it patches Django. ``SENTRY_REDACT=1`` adds our
``before_send``. Prints the secrets, peppers and digests that must not occur, and the events by failure, as JSON.
"""

import json
import logging
import os
from unittest import mock

import django
import sentry_sdk
from sentry_sdk.transport import Transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ["DATABASE_URL"] = "sqlite://:memory:"
events = []


class Collect(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.payload.json for item in envelope.items if item.type == "event")


def before_send(event, hint):
    from finta_keys.redaction import redact_event

    return redact_event(event, hint)


sentry_sdk.init(
    dsn="http://key@127.0.0.1:1/1",
    transport=Collect,
    **({"before_send": before_send} if os.environ.get("SENTRY_REDACT") else {}),
)
django.setup()

from django.conf import settings  # noqa: E402  # after setup()
from django.core.management import call_command  # noqa: E402
from django.db import OperationalError  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from accounts_app.models import User  # noqa: E402
from finta_keys import conf, signals  # noqa: E402
from finta_keys.authentication import ApiKeyAuthentication, get_key  # noqa: E402
from finta_keys.models import ApiKey  # noqa: E402
from finta_keys.scoping import unscoped  # noqa: E402


@unscoped("fails")
class Fails(APIView):
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request):
        key, header = request.auth, request.headers  # noqa: F841  # locals that a report shows
        if request.query_params:
            return Response({"found": get_key(request)})
        raise ValueError("fails")


def middleware_view(request):
    return HttpResponse(get_key(request))


def show(request):
    secret = ApiKey.objects.create_key(owner=User.objects.get(), name="Shown")[1]
    secrets.append(secret)
    return HttpResponse(engines["django"].from_string("{{ secret }}{% include missing %}").render({"secret": secret}))


def fails(**kwargs):
    raise ValueError("a receiver failed")


def create(request):
    with mock.patch.object(ApiKey, "save", side_effect=OperationalError):
        ApiKey.objects.create_key(owner=User.objects.get(), name="New")


urlpatterns = [
    path("fails", Fails.as_view()),
    path("plain", middleware_view),
    path("show", show),
    path("create", create),
]
secrets = []


def get(url, secret=None):
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    Client(headers=headers, raise_request_exception=False).get(url)


def main():
    logging.disable(logging.NOTSET)
    settings.ROOT_URLCONF = "__main__"
    call_command("migrate", verbosity=0)
    owner = User.objects.create_user("a@example.com", "p")
    _, secret = ApiKey.objects.create_key(owner=owner, name="Key")
    secrets.append(secret)
    outage = mock.patch("finta_keys.compiled.CompiledQuery.fetch", side_effect=OperationalError)
    failures = {}

    def record(name, action):
        events.clear()
        action()
        failures[name] = list(events)

    with outage:
        record("outage in a view", lambda: get("/fails", secret))
        record("outage in get_key()", lambda: get("/plain", secret))
    record("host view", lambda: get("/fails", secret))
    record("template", lambda: get("/show"))
    record("model", lambda: get("/create"))
    signals.key_created.connect(fails)
    record("receiver", lambda: get("/show"))
    with override_settings(FINTA_KEYS_EXTRA_HEADER="X-API-Key"), outage:
        record(
            "second header",
            lambda: Client(headers={"x-api-key": secret}, raise_request_exception=False).get("/fails"),
        )
    hidden = [*(bytes(key.digest) for key in ApiKey.objects.all()), *map(bytes, conf.peppers())]
    forbidden = [secret[6:] for secret in secrets]
    forbidden += [text for value in hidden for text in (value.hex(), repr(value)[2:-1])]
    print(json.dumps({"forbidden": forbidden, "failures": failures}))


if __name__ == "__main__":
    main()
