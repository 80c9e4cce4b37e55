"""The site's settings with a fixed environment, so that neither a ``.env`` nor the shell changes a result."""

import os

os.environ |= {
    "SECRET_KEY": "only-for-tests",
    "API_KEY_PEPPERS": "11" * 32,
    "DEBUG": "false",
    "ALLOWED_HOSTS": "testserver",
    "CSRF_TRUSTED_ORIGINS": "",
    "API_RATE_LIMIT": "100000/minute",
    "SIGN_IN_LIMIT": "10/5 minutes",
    "RATE_LIMIT_STORAGE": "memory://",
    "EMAIL_URL": "memorymail://",
}

from config.settings import *  # noqa: F403  # all of them

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast; the real order has a test of its own
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True  # no collected files needed
