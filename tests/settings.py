"""The site's settings with a fixed environment, independent of ``.env`` and the shell."""

import os

os.environ |= {
    "SECRET_KEY": "only-for-tests",
    "API_KEY_PEPPERS": "11" * 32,
    "DEBUG": "false",
    "ALLOWED_HOSTS": "testserver",
    "CSRF_TRUSTED_ORIGINS": "",
    "MAX_ACCOUNTS_PER_OWNER": "",
    "STANDBY_TIMEOUT": "",
    "API_RATE_LIMIT": "100000/minute",
    "TRUSTED_PROXY_COUNT": "",
    "SECURE_SSL_REDIRECT": "false",
    "SIGN_IN_LIMIT": "10/5 minutes",
    "SIGN_IN_SOURCE_LIMIT": "50/15 minutes",
    "PASSWORD_RESET_LIMIT": "5/hour",
    "PASSWORD_RESET_SOURCE_LIMIT": "30/hour",
    "RATE_LIMIT_STORAGE": "memory://",
    "EMAIL_URL": "memorymail://",
    "LOG_LEVEL": "INFO",
}

from config.settings import *  # noqa: F403  # all of them

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast; another test checks the real order
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
# Quiet. Tests add the handlers they need.
LOGGING |= {"handlers": {"none": {"class": "logging.NullHandler"}}, "root": {"handlers": ["none"]}}  # noqa: F405
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True  # without collectstatic
