import re

from accounts_app.models import Account

TYPED = {
    "institution_name": "",
    "name": "Cash",
    "mask": "",
    "type": "other",
    "subtype": "",
    "currency": "USD",
    "current_balance": "12.50",
    "available_balance": "",
}
BACK = '<a class="finta-button" href="/accounts">Back to Accounts</a>'


def edit_url(account):
    return f"/accounts/{getattr(account, 'pk', account)}/edit"


def close_url(account):
    return f"/accounts/{getattr(account, 'pk', account)}/close"


def text(response):
    return response.content.decode()


def main_text(response):
    """Return the text of a page in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response).split("<main", 1)[1]).split())


def form_values(response):
    """Return the form's values as a browser would submit them."""
    main = text(response).split("<main", 1)[1]
    tags = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input [^>]*>", main)]
    return {tag["name"]: tag.get("value", "") for tag in tags}


def add(browser, **values):
    return browser.post("/accounts/new", {**form_values(browser.get("/accounts/new")), **TYPED, **values})


def flash_message(browser, response):
    """Follow a redirect to Accounts and return its messages."""
    assert (response.status_code, response.url) == (302, "/accounts")
    page = text(browser.get(response.url))
    messages = re.search(r'<ul class="finta-messages"[^>]*>(.*?)</ul>', page, re.DOTALL).group(1)
    return " ".join(re.sub(r"<[^>]*>", " ", messages).split()).replace("&quot;", '"')


def rows():
    return list(Account.objects.order_by("pk").values())
