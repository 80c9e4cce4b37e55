"""Rate limits shared by threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from accounts_app import limiter


def test_concurrent_threads_share_one_storage(monkeypatch):
    """Two storages would count separately, and creating two at once can fail."""
    build, built = limiter.storage_from_string, []
    both = threading.Barrier(2)

    def slowly(*args, **options):
        built.append(build(*args, **options))
        time.sleep(0.05)  # lets the other thread arrive
        return built[-1]

    def come():
        both.wait(10)
        return limiter._limiter("memory://")

    monkeypatch.setattr(limiter, "storage_from_string", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = (item.result(10) for item in [pool.submit(come), pool.submit(come)])
    assert first is second
    assert len(built) == 1
