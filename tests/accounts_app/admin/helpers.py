from django.forms import MultiWidget
from django.urls import reverse

NEW_PASSWORD = "staple battery horse correct"


def url(model, page, *args):
    return reverse(f"admin:accounts_app_{model.__name__.lower()}_{page}", args=args)


def form_data(response):
    """Return the form's values as a browser would submit them."""
    data = {}
    for field in response.context["adminform"].form:
        value, widget = field.value(), field.field.widget
        if isinstance(widget, MultiWidget):
            parts = enumerate(widget.decompress(value))
            data |= {f"{field.html_name}_{number}": part or "" for number, part in parts}
        elif isinstance(value, bool):
            data |= {field.html_name: "on"} if value else {}
        elif value is not None and not field.field.disabled:
            data[field.html_name] = value
    return data


def edit(browser, obj, **changes):
    address = url(type(obj), "change", obj.pk)
    return browser.post(address, {**form_data(browser.get(address)), **changes})


def errors(response):
    assert response.status_code == 200
    return response.context["adminform"].form.errors
