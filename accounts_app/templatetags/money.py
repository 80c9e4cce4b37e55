from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def money(amount: Decimal) -> str:
    """Format an amount with thousands separators and two to four decimals: ``1,234.50``."""
    integer, decimals = f"{amount or Decimal(0):,.4f}".split(".")  # "or" turns -0 into 0.
    return f"{integer}.{decimals.rstrip('0'):0<2}".replace("-", "−")
