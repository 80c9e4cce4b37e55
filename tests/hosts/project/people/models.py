from django.contrib.auth.models import AbstractUser
from host.variant import key_field


class Person(AbstractUser):
    id = key_field()
