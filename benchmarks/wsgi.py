import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
from config.wsgi import application  # noqa: F401  # served by gunicorn
