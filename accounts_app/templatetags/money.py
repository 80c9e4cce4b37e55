from decimal import Decimal

from django import template

from accounts_app.models import Account

register = template.Library()


@register.filter
def kind(account: Account) -> str:
    """Return the type of an account for people, such as "Credit card"."""
    return (account.subtype or account.type).replace("_", " ").capitalize()


@register.filter
def money(amount: Decimal) -> str:
    """Format an amount with thousands separators and two to four decimals: ``1,234.50``."""
    integer, decimals = f"{amount or Decimal(0):,.4f}".split(".")  # "or" turns -0 into 0.
    return f"{integer}.{decimals.rstrip('0'):0<2}".replace("-", "−")
