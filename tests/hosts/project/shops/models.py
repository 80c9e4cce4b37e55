from typing import Any

from django.conf import settings
from django.db import models
from host.variant import key_field


class Town(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Shop(models.Model):
    id: "models.Field[Any, Any]" = key_field()
    merchant = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="shops")
    town = models.ForeignKey(Town, models.CASCADE)
    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}, {self.town}"


class Order(models.Model):
    id: "models.Field[Any, Any]" = key_field()
    shop = models.ForeignKey(Shop, models.CASCADE)
    number = models.IntegerField(unique=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return str(self.number)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    article = models.CharField(max_length=100)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.article
