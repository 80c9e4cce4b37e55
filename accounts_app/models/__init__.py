"""Owners, their bank accounts and the transactions on them."""

from accounts_app.models.accounts import MANUAL, Account, NotWritable, TooManyAccounts
from accounts_app.models.transactions import Transaction, today
from accounts_app.models.users import User, UserManager

__all__ = ["MANUAL", "Account", "NotWritable", "TooManyAccounts", "Transaction", "User", "UserManager", "today"]
