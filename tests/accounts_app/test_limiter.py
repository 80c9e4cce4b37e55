"""What several processes and threads count together."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from accounts_app import limiter


def test_two_threads_that_come_first_at_once_build_one_storage(monkeypatch):
    """Two would each count for itself, and building two at once can fail."""
    build, built = limiter.storage_from_string, []
    both = threading.Barrier(2)

    def slowly(*args, **options):
        built.append(build(*args, **options))
        time.sleep(0.05)  # time enough for the other thread to come here too, if it may
        return built[-1]

    def come():
        both.wait(10)
        return limiter._limiter("memory://")

    monkeypatch.setattr(limiter, "storage_from_string", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = (each.result(10) for each in [pool.submit(come), pool.submit(come)])
    assert first is second
    assert len(built) == 1
