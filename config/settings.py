"""Settings of the site. Each value that differs between installations comes from the environment or from ``.env``."""

import re
from pathlib import Path
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.environment import env

BASE_DIR = Path(__file__).resolve().parent.parent

_missing = [name for name in ("SECRET_KEY", "API_KEY_PEPPERS") if not env.str(name, default="")]
if _missing:
    raise ImproperlyConfigured(
        f"Not set: {', '.join(_missing)}. Run `make setup`, which writes a .env with random values, "
        "or set them in the environment (README: Settings)."
    )

DEBUG = environment.flag("DEBUG")
SECRET_KEY = env.str("SECRET_KEY")
FINTA_KEYS_PEPPERS = environment.peppers("API_KEY_PEPPERS")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

_proxies = env.str("TRUSTED_PROXY_COUNT", default="").strip()
if _proxies and not re.fullmatch("[0-9]{1,2}", _proxies):
    raise ImproperlyConfigured(
        f"TRUSTED_PROXY_COUNT is {_proxies!r}. Set it to how many proxies of yours each request comes through: "
        "0 where clients connect directly, 1 behind one nginx or Caddy."
    )
TRUSTED_PROXY_COUNT = int(_proxies) if _proxies else None  # None is like 0, and a check says that nobody has decided
if TRUSTED_PROXY_COUNT:
    # Only with a proxy, which has to overwrite it: anybody else could send this header too. There is no such setting
    # for the name of the host: proxies pass Host on, and X-Forwarded-Host would be one more that could be forged.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "accounts_app",
    "finta_keys",
    "rest_framework",
    "drf_spectacular",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    # It answers nothing itself: what all others do and log has the id that it gives.
    "config.request_log.RequestLogMiddleware",
    # What all answers have comes before all that may answer: static files, errors of those further down.
    "config.middleware.SecurityHeadersMiddleware",
    "config.middleware.ApiHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # Paths have none, and the answer to an unknown path must not tell which ones exist.

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

_database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
if env.str("DATABASE_URL", default=""):
    _database = environment.database("DATABASE_URL")
_database["ATOMIC_REQUESTS"] = False  # A secret is shown only after it has been committed.
_database.setdefault("CONN_MAX_AGE", 60)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Readers do not wait for a writer, and a transaction that will write takes its lock at its start.
        "init_command": "PRAGMA journal_mode=WAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds that a writer waits for the others; Django's five are few where a disk is slow
        **_database.get("OPTIONS", {}),
    }
DATABASES = {"default": _database}

AUTH_USER_MODEL = "accounts_app.User"
# For what people choose; secrets of keys need no slow hash, see docs/decisions.md.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "finta_keys:list"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_RESET_TIMEOUT = 60 * 60  # An hour: mailboxes are read by others long after. The pages name it.

# No script needs to read a cookie: forms carry the token of their own.
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
# One year. Django sends it on requests over TLS only; subdomains are for the operator of the domain to decide on.
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 60 * 60
# Off at first: a proxy does it better, and whether there is one is not known here. Never for the API: a client that
# is led to TLS has sent its secret in clear, would go on to do so, and nobody would notice.
SECURE_SSL_REDIRECT = environment.flag("SECURE_SSL_REDIRECT")
SECURE_REDIRECT_EXEMPT = ["^v2(/|$)"]
# What these ask for is not this site's to decide: redirects (above), and HSTS for other hosts of the domain, which
# would take those off the net that have no TLS (W005, W021).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

FINTA_KEYS_ACCOUNT_MODEL = "accounts_app.Account"
FINTA_KEYS_ACCOUNT_GROUP = "institution_name"
FINTA_KEYS_ACCOUNT_LABEL = "label"
FINTA_KEYS_BASE_TEMPLATE = "base.html"
FINTA_KEYS_FRESH_SIGN_IN = "accounts_app.sign_in.confirm_password.require_recent_password"

API_RATE_LIMIT = env.str("API_RATE_LIMIT", default="200/minute")
# Growing delays: five attempts at once, then two for which to wait a minute, two for five, and none for more than 15.
SIGN_IN_LIMIT = env.str("SIGN_IN_LIMIT", default="5/minute; 7/5 minutes; 9/15 minutes")
SIGN_IN_SOURCE_LIMIT = env.str("SIGN_IN_SOURCE_LIMIT", default="50/15 minutes")
# For each e-mail address: not over more than PASSWORD_RESET_TIMEOUT, so that there is a good link when it is reached.
PASSWORD_RESET_LIMIT = env.str("PASSWORD_RESET_LIMIT", default="5/hour")
PASSWORD_RESET_SOURCE_LIMIT = env.str("PASSWORD_RESET_SOURCE_LIMIT", default="30/hour")
RATE_LIMIT_STORAGE = env.str("RATE_LIMIT_STORAGE", default="memory://")

# The views under /v2 set what they need themselves; this is what drf-spectacular reads.
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Finta API",
    "VERSION": "2",
    "DESCRIPTION": "Bank accounts and transactions, as far as the scope of an API key reaches.",
    "SERVERS": [{"url": "/v2"}],
    "SCHEMA_PATH_PREFIX": "/v2",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SERVE_INCLUDE_SCHEMA": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
_levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
if LOG_LEVEL not in _levels:
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}. Set it to one of {', '.join(_levels)}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": f"config.log_formatters.{'LineFormatter' if DEBUG else 'JsonFormatter'}"}},
    "filters": {"debug_is_off": {"()": "django.utils.log.RequireDebugFalse"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "mail": {
            "class": "config.error_reports.RedactingAdminEmailHandler",
            "formatter": "line",
            "level": "ERROR",
            "filters": ["debug_is_off"],
        },
    },
    "root": {"handlers": ["console", "mail"], "level": LOG_LEVEL},
    "loggers": {
        # Django gives these two handlers of their own.
        "django": {"handlers": [], "level": LOG_LEVEL},
        # Lines of runserver: ours tell the same, and more.
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        # Its handlers would write a malformed request, with whatever is in it, as it came.
        "gunicorn.error": {"handlers": [], "propagate": True},
        # Its warnings are refused requests, of which our line tells already.
        "django.request": {"level": "ERROR"},
        # Its lines of DEBUG hold the values of queries: digests, hashes of passwords, keys of sessions.
        "django.db.backends": {"level": "INFO"},
    },
}
DEFAULT_EXCEPTION_REPORTER = "config.error_reports.RedactingReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.error_reports.RedactingReporterFilter"

FILE_UPLOAD_HANDLERS = ["config.upload_handlers.DiscardFiles"]
# A scope form sends a field for each account that is checked; Django's limit is 1,000.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False  # Messages of the API are the same for everybody.

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_ALLOW_ALL_ORIGINS = False  # No other site is meant to load these files.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

_mail = environment.mail("EMAIL_URL", default="consolemail://" if DEBUG else "smtp://localhost:25")
if django.VERSION < (6, 1):
    globals().update(_mail)
else:
    _smtp_options = {
        "host": "EMAIL_HOST",
        "port": "EMAIL_PORT",
        "username": "EMAIL_HOST_USER",
        "password": "EMAIL_HOST_PASSWORD",
        "use_tls": "EMAIL_USE_TLS",
        "use_ssl": "EMAIL_USE_SSL",
    }
    MAILERS = {
        "default": {
            "BACKEND": _mail["EMAIL_BACKEND"],
            "OPTIONS": {option: _mail[name] for option, name in _smtp_options.items() if _mail.get(name)},
        }
    }
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Finta <noreply@localhost>")
