"""The site as in production, without collected static files. Other settings come from the environment."""

import os

from config.settings import *  # noqa: F403  # all of them

STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
MIDDLEWARE = ["tests.live.middleware.add_worker_header", *MIDDLEWARE]  # noqa: F405
LOGGING["root"]["level"] = "WARNING"  # noqa: F405  # no line per request
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True  # no collected files needed
if pragmas := os.environ.get("LIVE_SQLITE_PRAGMAS"):
    DATABASES["default"]["OPTIONS"]["init_command"] += pragmas  # noqa: F405
