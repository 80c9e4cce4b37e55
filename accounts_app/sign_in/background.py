"""Jobs that run after the response, in a few threads with a bounded queue.

A job that hangs, such as an e-mail to a mail server that does not respond, occupies a worker thread
but no thread and no database connection of a request.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from queue import Full, Queue

from django.db import connections

logger = logging.getLogger(__name__)

WORKERS = 2
MAX_QUEUED = 100
EXIT_TIMEOUT = 10.0  # seconds that the process waits for unfinished jobs before it exits

_jobs: Queue[Callable[[], None]] = Queue(MAX_QUEUED)
_threads: list[threading.Thread] = []
_start_lock = threading.Lock()


def submit(job: Callable[[], None]) -> bool:
    """Run the job in a worker thread. If the queue is full, log an error and return False."""
    _start_threads()
    try:
        _jobs.put_nowait(job)
    except Full:
        logger.error("The queue of background jobs is full. A job was dropped.")
        return False
    return True


def wait(timeout: float) -> bool:
    """Wait until all jobs are done. Return False if the timeout passes first."""
    deadline = time.monotonic() + timeout
    while _jobs.unfinished_tasks:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def release_connections() -> None:
    """Close the database connections of a worker thread before a job waits for something else."""
    if threading.current_thread() in _threads:
        connections.close_all()


def _start_threads() -> None:
    # Started on first use, because threads do not survive a fork of the server.
    with _start_lock:
        _threads[:] = [thread for thread in _threads if thread.is_alive()]
        while len(_threads) < WORKERS:
            thread = threading.Thread(target=_run_jobs, name="background", daemon=True)
            _threads.append(thread)
            thread.start()


def _run_jobs() -> None:
    while True:
        job = _jobs.get()
        try:
            job()
        except Exception:
            logger.exception("A background job failed.")
        finally:
            connections.close_all()
            _jobs.task_done()


# The threads are daemons, so that a job that hangs cannot keep the process from exiting.
atexit.register(wait, EXIT_TIMEOUT)
