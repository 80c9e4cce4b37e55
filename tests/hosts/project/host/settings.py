import os

from host.variant import KEYS, LOCAL

SECRET_KEY = "only-for-the-tests-of-this-project"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "host.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "finta_keys",
    "shops",
]
if KEYS != "int":
    INSTALLED_APPS.append("people")
    AUTH_USER_MODEL = "people.Person"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [os.path.join(os.path.dirname(os.path.dirname(__file__)), "templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
if url := os.environ.get("DATABASE_URL"):
    import environ

    DATABASES = {"default": environ.Env.db_url_config(url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "static/"
LOGIN_URL = "/admin/login/"
USE_TZ = not LOCAL
TIME_ZONE = "Europe/Berlin"
if LOCAL:
    LANGUAGE_CODE = "de"
    USE_THOUSAND_SEPARATOR = True
    SILENCED_SYSTEM_CHECKS = ["urls.W002"]  # its paths do not end in a slash
    FINTA_KEYS_BASE_TEMPLATE = "site.html"
if KEYS == "text":
    SILENCED_SYSTEM_CHECKS = ["finta_keys.W021"]  # Clients choose the primary keys of new rows.

FINTA_KEYS_PEPPERS = ["b7f1a0c35d2e489617cc0d9e5f3382a46be15907d8f24c6ab3097e1d5a80c2f4"]
FINTA_KEYS_ACCOUNT_MODEL = "shops.Shop"
FINTA_KEYS_OWNER_FIELD = "merchant"
FINTA_KEYS_ACCOUNT_LABEL = "name"
FINTA_KEYS_ACCOUNT_GROUP = "town"
FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")
FINTA_KEYS_PREFIX = "shop_"
