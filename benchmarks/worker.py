"""A process that measures one case or fills one database. Started by ``store.py``, ``timing.py`` and
``counting.py``.

``fill`` fills the database. ``serve`` executes orders from standard input, one JSON object per line. ``count`` runs the
requests between marks for callgrind.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cases import Data

WARM_UP = 30  # first requests, not measured: caches, prepared statements, lazy imports
STATUS = {"valid": (200,), "elsewhere": (404,), "unknown": (401, 403), "malformed": (401, 403)}


def main(action: str, design: str, *arguments: str) -> None:
    import django

    out, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    if action == "fill":
        _fill(Data(design, int(arguments[0]), int(arguments[1])), Path(arguments[2]))
        return
    caller, entry, callers = arguments[:3]
    requests = _requests(design, entry, json.loads(Path(callers).read_text())[caller])
    if action == "serve":
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(_ORDERS[order["do"]](requests[order["kind"]], order)), file=out, flush=True)
    else:
        _count({kind: requests[kind] for kind in arguments[3].split(",")}, int(arguments[4]))


def _fill(data: Data, callers: Path) -> None:
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.filling import fill

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("migrate", verbosity=0, skip_checks=True, run_syncdb=True)  # an app without migrations
    filled = json.dumps(fill(data))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    callers.write_text(filled)


Send = Callable[[], int]  # sends a request and returns the status


def _requests(design: str, entry: str, kinds: dict[str, Any]) -> dict[str, Callable[[], Send]]:
    """Return functions that build a request of each kind.

    A request is sent once: the key is kept on it, so a second lookup would cost nothing.
    """
    make = _direct(design) if entry == "view" else _through_handler(entry)
    return {kind: partial(make, **request) for kind, request in kinds.items()}


def _direct(design: str) -> Callable[..., Send]:
    from rest_framework.test import APIRequestFactory

    from benchmarks.views import view_of

    view, factory = view_of(design), APIRequestFactory()

    def make(header: str, pk: str) -> Send:
        request = factory.get(f"/bench/accounts/{pk}", HTTP_AUTHORIZATION=header)

        def send() -> int:
            response = view(request, pk=pk)
            if hasattr(response, "render"):  # django-ninja has rendered it
                response.render()
            return int(response.status_code)

        return send

    return make


def _through_handler(entry: str) -> Callable[..., Send]:
    from benchmarks.wsgi import application

    base = "/v2/accounts/" if entry == "site" else "/bench/accounts/"

    def make(header: str, pk: str) -> Send:
        environ = environ_of(base + pk, header)
        return lambda: respond(application, environ)

    return make


def environ_of(path: str, header: str) -> dict[str, Any]:
    from django.test import RequestFactory

    return {**RequestFactory(SERVER_NAME="localhost").get(path).environ, "HTTP_AUTHORIZATION": header}


def respond(application: Any, environ: dict[str, Any]) -> int:
    started: list[str] = []
    response = application(environ.copy(), lambda status, headers: started.append(status))
    for _ in response:
        pass
    response.close()
    return int(started[0][:3])


def _time(build: Callable[[], Send], order: dict[str, Any]) -> float:
    """Return the median time of one request in microseconds."""
    times = []
    for _ in range(order["n"]):
        send = build()
        start = time.perf_counter_ns()
        send()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def _inspect(build: Callable[[], Send], order: dict[str, Any]) -> dict[str, int]:
    """Return the status and number of queries after warming up."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(WARM_UP):
        status = build()()
    if status not in STATUS[order["kind"]]:
        raise SystemExit(f"{sys.argv}: status {status} for a request of the kind {order['kind']!r}")
    send = build()
    with CaptureQueriesContext(connection) as queries:
        send()
    return {"status": status, "queries": len(queries)}


_ORDERS = {"time": _time, "inspect": _inspect}


def _count(requests: dict[str, Callable[[], Send]], n: int) -> None:
    """Send ``n`` requests of each kind, then twice as many, between calls of ``getppid()``, which callgrind uses as
    marks."""
    from finta_keys import usage_counts

    usage_counts.SAVE_AFTER = 24 * 60 * 60  # seconds; callgrind would count its thread too
    for kind, build in requests.items():
        _inspect(build, {"kind": kind})
    switched = subprocess.run(["callgrind_control", "-i", "on", str(os.getpid())], capture_output=True, text=True)  # noqa: S603, S607
    if "OK" not in switched.stdout:
        raise SystemExit(f"callgrind_control failed: {switched.stdout}{switched.stderr}")
    for build in requests.values():
        for times in (n, 2 * n):
            sends = [build() for _ in range(times)]
            gc.collect()
            gc.freeze()  # Otherwise, one collection of all objects would count in some runs and not in others.
            os.getppid()
            for send in sends:
                send()
            os.getppid()


if __name__ == "__main__":
    main(*sys.argv[1:])
