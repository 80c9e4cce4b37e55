"""Work that continues after the response."""

import threading
from collections.abc import Callable

from django.db import connections


def run_in_thread(job: Callable[[], None]) -> None:
    """Run the job in a non-daemon thread: the process waits for it before it exits."""

    def run() -> None:
        try:
            job()
        finally:
            connections.close_all()  # the connections of this thread

    threading.Thread(target=run, name="background").start()
