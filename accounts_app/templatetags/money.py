"""How a sum is written on a page."""

from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def money(amount: Decimal) -> str:
    """Write a sum with separators between thousands and two to four decimals: ``1,234.50``."""
    whole, decimals = f"{amount or Decimal(0):,.4f}".split(".")  # Decimal has a zero below zero, too.
    return f"{whole}.{decimals.rstrip('0'):0<2}".replace("-", "−")
