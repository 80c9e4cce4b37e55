"""The site as in production, without collected static files. Other settings come from the environment."""

import os

import environ

from config.settings import *  # noqa: F403  # all of them

STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
MIDDLEWARE = ["tests.live.middleware.add_worker_header", *MIDDLEWARE]  # noqa: F405
LOGGING["root"]["level"] = "WARNING"  # noqa: F405  # no line per request
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True  # no collected files needed
if replica := os.environ.get("LIVE_REPLICA_URL"):
    DATABASES["replica"] = {**DATABASES["default"], **environ.Env.db_url_config(replica)}  # noqa: F405
    DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
if pragmas := os.environ.get("LIVE_SQLITE_PRAGMAS"):
    DATABASES["default"]["OPTIONS"]["init_command"] += pragmas  # noqa: F405
