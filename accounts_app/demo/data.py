"""The demo owners, their accounts and their payees. Amounts are in cents: ``96_40`` is 96.40."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from accounts_app.models import MANUAL, Account

ONLINE, IN_STORE, OTHER = "online", "in store", "other"

Rule = Callable[[date], bool]


def monthly(day: int) -> Rule:
    return lambda today: today.day == day


def every_other_friday(today: date) -> bool:
    return today.toordinal() % 14 == 5


class Payee(NamedTuple):
    """The other side of a transaction, with the range of its amounts in cents.

    Expenses are negative.
    """

    merchant: str
    category: str
    channel: str
    least: int
    most: int
    fee: int = 0
    fee_type: str = ""
    has_check: bool = False
    sub_account: str = ""
    is_hold: bool = False  # A hold that is never charged. Its transaction ends as deleted.


@dataclass(frozen=True)
class DemoAccount:
    """An account with its regular payees and its shops."""

    slug: str
    fields: dict[str, Any]
    connection: str = ""
    place: str = ""
    # Days without data from the bank, because the account was closed or disconnected.
    silent_days: int = 0
    liability: Callable[[date], dict[str, Any]] | None = None
    regulars: tuple[tuple[Rule, Payee], ...] = ()
    shops: tuple[Payee, ...] = ()
    per_day: tuple[int, ...] = (0,)  # The number of purchases per day is one of these.
    provider: str = "plaid"


GROCERIES = (
    Payee("Trader Joe's", "Groceries", IN_STORE, -96_40, -14_25),
    Payee("Whole Foods Market", "Groceries", IN_STORE, -142_80, -22_10),
)
EVERYDAY = (
    *GROCERIES,
    Payee("Blue Bottle Coffee", "Restaurants", IN_STORE, -12_75, -4_50),
    Payee("Chipotle", "Restaurants", IN_STORE, -24_60, -11_35),
    Payee("Shell", "Transport", IN_STORE, -64_20, -31_50),
    Payee("Lyft", "Transport", ONLINE, -38_90, -9_15),
    Payee("Amazon", "Shopping", ONLINE, -118_00, -8_99),
    Payee("Walgreens", "Health", IN_STORE, -41_30, -6_49),
)
HOLD = Payee("Shell", "Transport", IN_STORE, -125_00, -125_00, is_hold=True)


def amex_liability(today: date) -> dict[str, Any]:
    return {
        "type": "credit",
        "aprs": [{"aprType": "purchase_apr", "aprPercentage": 24.99, "balanceSubjectToApr": 0}],
        "creditLimit": 12000,
        "isOverdue": False,
        "lastPaymentAmount": 1150,
        "lastStatementBalance": 1386.42,
        "minimumPaymentAmount": 40,
        "nextPaymentDueDate": (today + timedelta(days=17)).isoformat(),
    }


def mortgage_liability(today: date) -> dict[str, Any]:
    return {
        "type": "mortgage",
        "interestRate": {"percentage": 3.875, "type": "fixed"},
        "loanTerm": "30 year",
        "originationDate": "2021-05-14",
        "maturityDate": "2051-06-01",
        "originationPrincipalAmount": 412000,
        "nextMonthlyPayment": 2148.31,
        "nextPaymentDueDate": (today.replace(day=1) + timedelta(days=32)).replace(day=1).isoformat(),
        "ytdInterestPaid": 7214.08,
    }


def bank(institution: str, name: str, mask: str, kind: str, balance: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of a bank account. ``kind`` is its type and subtype."""
    account_type, subtype = kind.split("/")
    return {
        "institution_name": institution,
        "name": name,
        "mask": mask,
        "type": account_type,
        "subtype": subtype,
        "currency": "USD",
        "current_balance": Decimal(balance),
        **fields,
    }


ALICE = (
    DemoAccount(
        "alice/chase-checking",
        bank("Chase", "Total Checking", "4821", "depository/checking", "6214.37", available_balance=Decimal("6120.12")),
        connection="alice/chase",
        place="SAN FRANCISCO CA",
        regulars=(
            (every_other_friday, Payee("Northwind Traders", "Salary", OTHER, 3_184_62, 3_184_62)),
            (monthly(1), Payee("Sutter Street Apartments", "Rent", OTHER, -2_350_00, -2_350_00, has_check=True)),
            (monthly(3), Payee("PG&E", "Utilities", ONLINE, -138_20, -71_45)),
            (monthly(9), Payee("Comcast Xfinity", "Utilities", ONLINE, -79_99, -79_99)),
            (monthly(14), Payee("ATM Mission Street", "Cash", OTHER, -120_00, -120_00, 3_50, "atm")),
            (monthly(22), Payee("American Express", "Card payment", OTHER, -1_150_00, -1_150_00)),
            (monthly(26), Payee("Dr. Okafor DDS", "Health", OTHER, -95_00, -95_00, has_check=True)),
        ),
        shops=GROCERIES,
        per_day=(0, 0, 0, 1),
    ),
    DemoAccount(
        "alice/chase-savings",
        bank("Chase", "Savings", "8830", "depository/savings", "0.00", status=Account.Status.CLOSED),
        connection="alice/chase",
        silent_days=61,
        regulars=(
            (monthly(12), Payee("Mobile check deposit", "Transfer", OTHER, 150_00, 400_00)),
            (monthly(28), Payee("Interest", "Interest", OTHER, 41, 96)),
        ),
    ),
    DemoAccount(
        "alice/amex-gold",
        bank(
            "American Express",
            "Gold Card",
            "1005",
            "credit/credit card",
            "842.19",
            available_balance=Decimal("11157.81"),
        ),
        connection="alice/amex",
        place="SAN FRANCISCO CA",
        liability=amex_liability,
        regulars=(
            (monthly(5), Payee("Spotify", "Subscriptions", ONLINE, -11_99, -11_99)),
            (monthly(7), Payee("Netflix", "Subscriptions", ONLINE, -17_99, -17_99)),
            (monthly(11), HOLD),
            (monthly(17), Payee("Eurostar", "Travel", ONLINE, -164_00, -58_00, 2_70, "foreign_transaction")),
            (monthly(22), Payee("Autopay payment", "Card payment", OTHER, 1_150_00, 1_150_00)),
        ),
        shops=EVERYDAY,
        per_day=(1, 1, 2),
    ),
    DemoAccount(
        "alice/wise-eur",
        bank(
            "Wise",
            "Euro balance",
            "7396",
            "depository/checking",
            "1930.55",
            currency="EUR",
            status=Account.Status.DISCONNECTED,
        ),
        connection="alice/wise",
        place="BERLIN DE",
        silent_days=19,
        regulars=(
            (monthly(4), Payee("Kastanien Studio GmbH", "Freelance", OTHER, 620_00, 1_180_00)),
            (monthly(18), Payee("Converted to US dollars", "Transfer", OTHER, -400_00, -400_00, 2_31, "conversion")),
        ),
        shops=(
            Payee("Deutsche Bahn", "Transport", ONLINE, -89_90, -17_90),
            Payee("Café Einstein", "Restaurants", IN_STORE, -28_50, -6_80),
        ),
        per_day=(0, 0, 0, 0, 0, 1),
    ),
    DemoAccount(
        "alice/cash",
        {"name": "Cash at home", "type": "other", "currency": "USD", "current_balance": Decimal("340.00")},
        provider=MANUAL,
        regulars=(
            (monthly(8), Payee("Farmers market", "Groceries", IN_STORE, -45_00, -12_00)),
            (monthly(20), Payee("Piano lesson", "Leisure", OTHER, -60_00, -60_00)),
        ),
    ),
)

BOB = (
    DemoAccount(
        "bob/schwab-checking",
        bank(
            "Charles Schwab",
            "Investor Checking",
            "2764",
            "depository/checking",
            "3870.06",
            available_balance=Decimal("3811.54"),
        ),
        connection="bob/schwab",
        place="DENVER CO",
        regulars=(
            (every_other_friday, Payee("Front Range Hospital", "Salary", OTHER, 3_942_18, 3_942_18)),
            (monthly(1), Payee("Rocket Mortgage", "Mortgage", OTHER, -2_148_31, -2_148_31)),
            (monthly(6), Payee("Xcel Energy", "Utilities", ONLINE, -164_70, -82_35)),
            (monthly(13), Payee("Ponderosa Daycare", "Children", OTHER, -680_00, -680_00, has_check=True)),
            (monthly(16), Payee("Transfer to brokerage", "Transfer", OTHER, -500_00, -500_00)),
            (monthly(19), HOLD),
            (monthly(24), Payee("ATM Colfax Avenue", "Cash", OTHER, -80_00, -80_00, 3_00, "atm")),
        ),
        shops=EVERYDAY,
        per_day=(1,),
    ),
    DemoAccount(
        "bob/schwab-brokerage",
        bank("Charles Schwab", "Brokerage", "9152", "investment/brokerage", "48210.94"),
        connection="bob/schwab",
        regulars=(
            (
                monthly(10),
                Payee("Vanguard Total Stock Market ETF", "Dividends", OTHER, 38_20, 61_75, sub_account="VTI"),
            ),
            (monthly(16), Payee("Transfer from checking", "Transfer", OTHER, 500_00, 500_00, sub_account="Cash")),
            (monthly(17), Payee("Bought VTI", "Investments", OTHER, -499_00, -420_00, 95, "trade", sub_account="VTI")),
        ),
    ),
    DemoAccount(
        "bob/mortgage",
        bank("Rocket Mortgage", "30-year fixed", "6047", "loan/mortgage", "371904.26"),
        connection="bob/rocket",
        liability=mortgage_liability,
        regulars=((monthly(1), Payee("Payment received", "Mortgage", OTHER, 2_148_31, 2_148_31)),),
    ),
)

OWNERS = {"alice@example.com": ALICE, "bob@example.com": BOB}
