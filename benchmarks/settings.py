"""The site's settings with a fixed environment, the apps of one design, its database and kind of connection."""

import os

from benchmarks.connections import CONNECTIONS
from benchmarks.designs import DESIGNS

os.environ |= {
    "SECRET_KEY": "only-for-benchmarks",
    "API_KEY_PEPPERS": "11" * 32,
    "DEBUG": "false",
    "ALLOWED_HOSTS": "localhost,127.0.0.1",
    "CSRF_TRUSTED_ORIGINS": "",
    "API_RATE_LIMIT": "100000000/minute",
    "SIGN_IN_LIMIT": "10/5 minutes",
    "RATE_LIMIT_STORAGE": "memory://",
    "EMAIL_URL": "memorymail://",
    "DATABASE_URL": os.environ["BENCH_DATABASE"],
}

from config.settings import *  # noqa: F403  # all of them

INSTALLED_APPS = [*INSTALLED_APPS, *DESIGNS[os.environ["BENCH_DESIGN"]].apps]  # noqa: F405
ROOT_URLCONF = "benchmarks.urls"
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
_connection = CONNECTIONS[os.environ["BENCH_CONNECTION"]]
DATABASES["default"]["CONN_MAX_AGE"] = _connection.max_age  # noqa: F405
DATABASES["default"]["OPTIONS"] |= _connection.options  # noqa: F405

# Required by drf-simple-apikey, which rejects requests over plain HTTP by default.
DRF_API_KEY = {"FERNET_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "ENFORCE_HTTPS": False}
TENANT_API_KEY_MODEL = "tenants.TenantKey"
WAGTAILADMIN_BASE_URL = "http://localhost"
# The first request of a key writes the time of its last use, and no later one during a run.
FINTA_KEYS_LAST_USED_INTERVAL = WAGTAILAPI_TOKEN_LAST_USED_INTERVAL = 24 * 60 * 60
# Some log a warning for every rejected key.
LOGGING = {"version": 1, "handlers": {"none": {"class": "logging.NullHandler"}}, "root": {"handlers": ["none"]}}
