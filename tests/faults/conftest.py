from tests.concurrency.conftest import database_url, pgbouncer, postgresql, redis  # noqa: F401  # fixtures
