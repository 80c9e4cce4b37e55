"""Settings of the site.

Values that differ between installations come from the environment or from ``.env``.
"""

from pathlib import Path
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.database_timeouts import CONNECTION_OPTIONS

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = environment.text("SECRET_KEY")
_missing = [name for name in ("SECRET_KEY", "API_KEY_PEPPERS") if not environment.text(name)]
if _missing:
    raise ImproperlyConfigured(
        f"Not set: {', '.join(_missing)}. Run `make install`, which writes a .env with random values, "
        "or set them in the environment (docs/operations.md, Settings)."
    )

DEBUG = environment.flag("DEBUG")
FINTA_KEYS_PEPPERS = environment.peppers("API_KEY_PEPPERS")
ALLOWED_HOSTS = environment.hosts("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.origins("CSRF_TRUSTED_ORIGINS")
# None works like 0, and `check --deploy` warns about it.
TRUSTED_PROXY_COUNT = environment.proxy_count("TRUSTED_PROXY_COUNT")
if TRUSTED_PROXY_COUNT:
    # Only behind a proxy, which must overwrite this header: otherwise clients could send it.
    # Proxies pass Host on, so X-Forwarded-Host is not needed and would only be another header to
    # forge.
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
    # First, so that every log line of a request has its id.
    "config.request_log.RequestLogMiddleware",
    # Headers of every response, so before all middleware that can respond.
    "config.middleware.SecurityHeadersMiddleware",
    "config.middleware.ApiHeadersMiddleware",
    "config.middleware.AnyHostForHealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # After the middleware that the page for errors needs.
    "config.middleware.PagesRejectKeysMiddleware",
    "config.middleware.RecordActorMiddleware",
    "config.middleware.UnconfirmedChangesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
# Paths have no slash, and the response to an unknown path must not reveal which paths exist.
APPEND_SLASH = False

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
if environment.text("DATABASE_URL"):
    _database = environment.database("DATABASE_URL")
_database["ATOMIC_REQUESTS"] = False  # A secret must be committed before it is shown.
_database.setdefault("CONN_MAX_AGE", 60)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Readers do not wait for writers, and a transaction takes its write lock when it begins.
        "init_command": "PRAGMA journal_mode=WAL;",
        "transaction_mode": "IMMEDIATE",
        # Seconds to wait for other writers. The default, 5, is too short on slow disks.
        "timeout": 20,
        **_database.get("OPTIONS", {}),
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["OPTIONS"] = {**CONNECTION_OPTIONS, **_database.get("OPTIONS", {})}
DATABASES = {"default": _database}

AUTH_USER_MODEL = "accounts_app.User"
# For passwords. Secrets of keys are random and need no slow hash (docs/decisions.md).
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
CSRF_FAILURE_VIEW = "config.error_views.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "finta_keys:list"
LOGOUT_REDIRECT_URL = "login"
# One hour, which the pages mention. Others may read the mailbox later.
PASSWORD_RESET_TIMEOUT = 60 * 60

# Scripts do not need the CSRF cookie: every form has its own token.
CSRF_COOKIE_HTTPONLY = True
SESSION_ENGINE = "accounts_app.sign_in.session_store"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
# One year, on this host only: its subdomains may be other sites.
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 60 * 60
# Off by default, because proxies usually redirect. Never for the API: a client that is redirected
# has already sent its secret unencrypted, and would keep doing so unnoticed.
SECURE_SSL_REDIRECT = environment.flag("SECURE_SSL_REDIRECT")
SECURE_REDIRECT_EXEMPT = ["^v2(/|$)"]
# W008 asks for the redirect above. W005 and W021 ask for HSTS on all subdomains, which would make
# those without TLS unreachable.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

FINTA_KEYS_ACCOUNT_MODEL = "accounts_app.Account"
FINTA_KEYS_ACCOUNT_GROUP = "institution_name"
FINTA_KEYS_ACCOUNT_LABEL = "label"
FINTA_KEYS_BASE_TEMPLATE = "base.html"
FINTA_KEYS_CLIENT_ADDRESS = "accounts_app.sign_in.client_address.client_address"
FINTA_KEYS_FRESH_SIGN_IN = "accounts_app.sign_in.confirm_password.require_recent_password"

FINTA_KEYS_STANDBY_TIMEOUT = environment.optional_number("STANDBY_TIMEOUT")

API_RATE_LIMIT = environment.rates("API_RATE_LIMIT", default="200/minute")
# Growing delays: five attempts at once, then waits of one, five and at most 15 minutes.
SIGN_IN_LIMIT = environment.rates("SIGN_IN_LIMIT", default="5/minute; 7/5 minutes; 9/15 minutes")
SIGN_IN_SOURCE_LIMIT = environment.rates("SIGN_IN_SOURCE_LIMIT", default="50/15 minutes")
# Per e-mail address. Its period must not exceed PASSWORD_RESET_TIMEOUT: an owner who gets no more
# mails then still has a valid link.
PASSWORD_RESET_LIMIT = environment.rates("PASSWORD_RESET_LIMIT", default="5/hour")
PASSWORD_RESET_SOURCE_LIMIT = environment.rates("PASSWORD_RESET_SOURCE_LIMIT", default="30/hour")
RATE_LIMIT_STORAGE = environment.storage("RATE_LIMIT_STORAGE", default="memory://")

# Limits the rows that a key can add, and the size of pages and lists.
MAX_ACCOUNTS_PER_OWNER = environment.number("MAX_ACCOUNTS_PER_OWNER", default=1000)

# Used by drf-spectacular only: the views under /v2 set everything else as attributes.
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Finta API",
    "VERSION": "2",
    "DESCRIPTION": "Bank accounts and transactions, limited to the scope of the API key.",
    "SERVERS": [{"url": "/v2"}],
    "SCHEMA_PATH_PREFIX": "/v2",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SERVE_INCLUDE_SCHEMA": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

LOG_LEVEL = environment.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": f"config.log_formatters.{'LineFormatter' if DEBUG else 'JsonFormatter'}"}},
    "filters": {
        "debug_is_off": {"()": "django.utils.log.RequireDebugFalse"},
        "not_unavailable": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(record, "status_code", None) != 503,
        },
    },
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
        # Django configures handlers for these two loggers, which would log without redaction.
        "django": {"handlers": [], "level": LOG_LEVEL},
        # runserver's request lines, which the request log already covers.
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        # Its own handlers would log malformed requests without redaction.
        "gunicorn.error": {"handlers": [], "propagate": True},
        # Its only warning: Django lets the server remove the body of responses to HEAD.
        "gunicorn.http.wsgi": {"level": "ERROR"},
        # Its warnings are rejected requests, which the request log already covers. Its errors with
        # status 503 are covered by accounts_app.unavailable, once a minute.
        "django.request": {"level": "ERROR", "filters": ["not_unavailable"]},
        # Its DEBUG lines contain query parameters: digests, password hashes, session keys.
        "django.db.backends": {"level": "INFO"},
    },
}
DEFAULT_EXCEPTION_REPORTER = "config.error_reports.RedactingReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.error_reports.RedactingReporterFilter"

FILE_UPLOAD_HANDLERS = ["config.upload_handlers.DiscardFiles"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False  # Messages of the API do not depend on the caller's language.

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_ALLOW_ALL_ORIGINS = False  # Other sites do not need these files.
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
        "timeout": "EMAIL_TIMEOUT",
    }
    MAILERS = {
        "default": {
            "BACKEND": _mail["EMAIL_BACKEND"],
            "OPTIONS": {option: _mail[name] for option, name in _smtp_options.items() if _mail.get(name)},
        }
    }
DEFAULT_FROM_EMAIL = environment.sender("DEFAULT_FROM_EMAIL", default="Finta <noreply@localhost>")
# Error reports. Since Django 6.0 ADMINS is a list of addresses.
_admins = environment.emails("ADMINS")
ADMINS = [(address, address) for address in _admins] if django.VERSION < (6, 0) else _admins
SERVER_EMAIL = DEFAULT_FROM_EMAIL
