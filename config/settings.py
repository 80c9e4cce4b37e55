"""Settings of the site. Each value that differs between installations comes from the environment or from ``.env``."""

from pathlib import Path
from typing import Any

import django
import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

_missing = [name for name in ("SECRET_KEY", "API_KEY_PEPPERS") if not env.str(name, default="")]
if _missing:
    raise ImproperlyConfigured(
        f"Not set: {', '.join(_missing)}. Run `make setup`, which writes a .env with random values, "
        "or set them in the environment (README: Settings)."
    )

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
FINTA_KEYS_PEPPERS = env.list("API_KEY_PEPPERS")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

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
    # What all answers have comes before all that may answer: static files, errors of those further down.
    "accounts_app.middleware.SecurityHeadersMiddleware",
    "accounts_app.middleware.ApiHeadersMiddleware",
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
    _database = env.db("DATABASE_URL")
_database["ATOMIC_REQUESTS"] = False  # A secret is shown only after it has been committed.
_database.setdefault("CONN_MAX_AGE", 60)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Readers do not wait for a writer, and a transaction that will write takes its lock at its start.
        "init_command": "PRAGMA journal_mode=WAL;",
        "transaction_mode": "IMMEDIATE",
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
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
# Not Strict: a link in a mail or a chat would then open the sign-in page for one who is signed in. Nothing changes by
# GET, and a POST from elsewhere comes without these cookies.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # A site that a link leads to does not learn which page it was on.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# One year. Django sends it on requests over TLS only; subdomains are for the operator of the domain to decide on.
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 60 * 60

FINTA_KEYS_ACCOUNT_MODEL = "accounts_app.Account"
FINTA_KEYS_ACCOUNT_GROUP = "institution_name"
FINTA_KEYS_ACCOUNT_LABEL = "label"

API_RATE_LIMIT = env.str("API_RATE_LIMIT", default="200/minute")
SIGN_IN_LIMIT = env.str("SIGN_IN_LIMIT", default="10/5 minutes")
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

# A scope form sends a field for each account that is checked; Django's limit is 1,000.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False  # Messages of the API are the same for everybody.
USE_TZ = True

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

_mail = env.email("EMAIL_URL", default="consolemail://" if DEBUG else "smtp://localhost:25")
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
