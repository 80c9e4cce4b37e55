"""The site's settings with a fixed environment, the app of one design and its database."""

import os

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

_app = DESIGNS[os.environ["BENCH_DESIGN"]].app
INSTALLED_APPS = [*INSTALLED_APPS, *([_app] if _app else [])]  # noqa: F405
ROOT_URLCONF = "benchmarks.urls"
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
DATABASES["default"]["CONN_MAX_AGE"] = None  # noqa: F405

# Required by drf-simple-apikey, which rejects requests over plain HTTP by default.
DRF_API_KEY = {"FERNET_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "ENFORCE_HTTPS": False}
# It logs a warning for every rejected key.
LOGGING = {"version": 1, "handlers": {"none": {"class": "logging.NullHandler"}}, "root": {"handlers": ["none"]}}
