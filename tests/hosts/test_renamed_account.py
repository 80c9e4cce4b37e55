"""The account model is renamed or moved in a project that has keys, as docs/how-to/own-account-model.md says."""

import re
import shlex
import sys

import pytest

from tests.hosts.conftest import REPOSITORY, run

pytestmark = pytest.mark.host

SETTINGS = """
from django.conf.global_settings import *
import os, environ
SECRET_KEY = "only-for-this-test"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "finta_keys", *{apps}]
DATABASES = {{"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FINTA_KEYS_PEPPERS = ["5a" * 32]
FINTA_KEYS_ACCOUNT_MODEL = "{account}"
FINTA_KEYS_OWNER_FIELD = "merchant"
"""
IMPORTS = """
from django.conf import settings
from django.db import migrations, models
"""
ACCOUNT = """
class {name}(models.Model):
    merchant = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
"""
ORDER = """
class Order(models.Model):
    shop = models.ForeignKey("{account}", models.CASCADE)
"""
RENAME = """
class Migration(migrations.Migration):
    dependencies = [("shops", "0001_initial")]
    run_before = [("finta_keys", "0001_initial")]
    operations = [migrations.RenameModel("Shop", "Store")]
"""
CREATE_IN_STATE = """
class Migration(migrations.Migration):
    dependencies = [("shops", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    run_before = [("finta_keys", "0001_initial")]
    operations = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.CreateModel("Store", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("merchant", models.ForeignKey(on_delete=models.CASCADE, to=settings.AUTH_USER_MODEL)),
        ], {"db_table": "shops_shop"}),
    ])]
"""
DELETE_IN_STATE = """
class Migration(migrations.Migration):
    dependencies = [("shops", "0001_initial"), ("stores", "0001_initial")]
    operations = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField("Order", "shop", models.ForeignKey("stores.Store", models.CASCADE)),
        migrations.DeleteModel("Shop"),
    ])]
"""
CREATE_KEY = """
from django.contrib.auth.models import User
from finta_keys.models import ApiKey
from shops.models import Order, Shop
merchant = User.objects.create(username="merchant")
shops = [Shop.objects.create(merchant=merchant) for _ in range(2)]
for shop in shops:
    Order.objects.create(shop=shop)
ApiKey.objects.create_key(owner=merchant, name="Key", accounts=shops[:1])
"""
READ_KEY = """
from django.db import connection
from finta_keys.models import ApiKey
from shops.models import Order
key = ApiKey.objects.get()
connection.check_constraints()
print([row.pk for row in key.accounts.all()], [row.shop_id for row in key.scoped(Order.objects.all(), "shop")])
"""


class Project:
    def __init__(self, folder, database_url):
        self.folder = folder
        self.env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{folder}:{REPOSITORY}", "DATABASE_URL": database_url}
        self.env["DJANGO_SETTINGS_MODULE"] = "settings"

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(text)

    def manage(self, *arguments):
        return run(sys.executable, "-m", "django", *arguments, cwd=self.folder, env=self.env)

    def shell(self, command):
        run("/bin/bash", "-ec", f"set -o pipefail; {command}", cwd=self.folder, env=self.env)

    def assert_works(self):
        assert self.manage("shell", "--no-imports", "-c", READ_KEY) == "[1] [1]\n"
        assert "No changes detected" in self.manage("makemigrations", "--check", "--dry-run")
        assert "no issues" in self.manage("check")
        self.env["DATABASE_URL"] = f"sqlite:///{self.folder / 'new.sqlite3'}"
        self.manage("migrate", "--verbosity", "0")


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request, tmp_path):
    """A project whose account model is ``shops.Shop``, with a key for the first of two shops."""
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    if server:
        url = server.create_database(f"account{abs(hash(request.node.name))}")
    project = Project(tmp_path / "project", url)
    if server:
        project.env["PGHOST"] = str(server.folder)  # dbshell ignores the host in the options.
    project.write("settings.py", SETTINGS.format(account="shops.Shop", apps=["shops"]))
    project.write("shops/models.py", IMPORTS + ACCOUNT.format(name="Shop") + ORDER.format(account="shops.Shop"))
    project.manage("makemigrations", "shops", "--verbosity", "0")
    project.manage("migrate", "--verbosity", "0")
    project.manage("shell", "--no-imports", "-c", CREATE_KEY)
    return project


@pytest.fixture
def commands():
    """The shell commands of the document: apply the SQL, record the migration, migrate."""
    text = (REPOSITORY / "docs/how-to/own-account-model.md").read_text()
    block = re.search(r"```text\n(.*?)```", text.partition("## Rename or move")[2], re.DOTALL)[1]
    commands = block.replace("python manage.py", f"{shlex.quote(sys.executable)} -m django").split("$ ")[1:]
    assert len(commands) == 3
    return commands


def test_renamed_account_keeps_keys_and_scopes(project, commands):
    project.write("settings.py", SETTINGS.format(account="shops.Store", apps=["shops"]))
    project.write("shops/models.py", IMPORTS + ACCOUNT.format(name="Store") + ORDER.format(account="shops.Store"))
    project.write("shops/migrations/0002_rename.py", IMPORTS + RENAME)
    for command in commands:
        project.shell(command)
    project.assert_works()


def test_moved_account_keeps_keys_and_scopes(project, commands):
    project.write("settings.py", SETTINGS.format(account="stores.Store", apps=["shops", "stores"]))
    project.write("shops/models.py", IMPORTS + ORDER.format(account="stores.Store"))
    table = "\n    class Meta:\n        db_table = 'shops_shop'\n"
    project.write("stores/models.py", IMPORTS + ACCOUNT.format(name="Store") + table)
    project.write("stores/migrations/0001_initial.py", IMPORTS + CREATE_IN_STATE)
    project.write("shops/migrations/0002_move.py", IMPORTS + DELETE_IN_STATE)
    _apply, record, migrate = commands
    project.shell(record.replace("'shops', '0002_rename'", "'stores', '0001_initial'"))
    project.shell(migrate)
    project.assert_works()
