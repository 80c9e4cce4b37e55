"""The site as in production, without the step that collects static files. All else comes from the environment."""

import os

from config.settings import *  # noqa: F403  # all of them

STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
MIDDLEWARE = ["tests.live.middleware.name_worker", *MIDDLEWARE]  # noqa: F405
LOGGING["root"]["level"] = "WARNING"  # noqa: F405  # not a line for each of thousands of requests
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True  # no collected files needed
if pragmas := os.environ.get("LIVE_SQLITE_PRAGMAS"):
    DATABASES["default"]["OPTIONS"]["init_command"] += pragmas  # noqa: F405
