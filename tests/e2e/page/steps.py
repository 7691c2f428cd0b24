"""Steps that tests of the page take, and what they find."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

import yaml

from tests.service import token

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.service import Service

PGP = f"pgp:{'AB' * 20}"
WRONG = "#{view} .error:not(:empty), #{view} [data-problem]:not([hidden])"
EMPTY = """
for (const form of document.forms) form.reset();
for (const one of document.querySelectorAll("[data-result]")) one.hidden = true;
for (const one of document.querySelectorAll("details")) one.open = false;
document.getElementById("change-secret-field").hidden = true;
location.hash = `#/${arguments[0]}`;
"""


def arrive(browser: Browser, service: Service, view: str, caller: str = "root") -> None:
    """Goes to a view with empty forms; signs in, unless that is who has been there."""
    who = f"{service.port} {caller}"
    if browser.run("return window.tested") == who and browser.all("#me")[0].is_displayed():
        browser.run(EMPTY, view)
        browser.find(f"#{view} h1")
        return
    browser.open(f"http://127.0.0.1:{service.port}/#/{view}")
    browser.put("#token", token(caller))
    browser.click("#sign-in-form button.main")
    browser.find(f"#{view} h1")
    browser.run("window.tested = arguments[0]", who)


def send(browser: Browser, view: str) -> str:
    """Sends the view's form; what came of it."""
    browser.click(f"#{view} button.main")
    found = browser.find(f"#{view} .result h2, {WRONG.format(view=view)}")
    assert found.tag_name == "h2", found.text
    return browser.text(f"#{view} .result")


def shown(browser: Browser, view: str) -> str:
    return str(browser.run("return document.querySelector(arguments[0]).textContent", f"#{view} .result pre"))


def refused(browser: Browser, view: str) -> tuple[str, str]:
    """What is said of a field, and which one has the focus; or of the whole form."""
    browser.click(f"#{view} button.main")
    return browser.text(WRONG.format(view=view)), str(browser.focused().get_attribute("id"))


def opened(service: Service, sealed: str) -> dict[str, bytes]:
    answer = service.post("/v1/decrypt", sealed.encode())
    assert answer.status == 200, answer.body
    tree: dict[str, Any] = yaml.safe_load(answer.body)
    return {name: b64decode(text) for name, text in tree["data"].items()}
