"""The page of `ksecret serve`, in a real Chromium: what nobody can do there, nor to those who do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml
from selenium.webdriver.common.keys import Keys

from tests.e2e.browser import needed
from tests.e2e.cli import MANIFEST, b64
from tests.e2e.page.steps import PGP, arrive, refused, send, shown
from tests.emulators.identity_proxy import IdentityProxy
from tests.service import token

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.service import Service

pytestmark = needed


def test_it_is_small(browser: Browser, service: Service) -> None:
    browser.open(f"http://127.0.0.1:{service.port}/")
    browser.find("#token")
    loaded = browser.run("return performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)")
    assert len(set(loaded)) >= 9
    sizes = [len(service.get(path, caller="").body) for path in {"/", "/page/icon.svg", *loaded}]
    assert sum(sizes) < 100_000


def test_signing_in_takes_a_token_that_is_known_and_keeps_it_nowhere(browser: Browser, service: Service) -> None:
    browser.open(f"http://127.0.0.1:{service.port}/")
    assert browser.focused() == browser.find("#token")
    for wrong, said in [("", "No token."), ("kst_wrong", "The token is not known.")]:
        browser.put("#token", wrong)
        browser.click("#sign-in-form button.main")
        assert said in browser.says("#token-error", said)
        assert browser.focused() == browser.find("#token")
    browser.put("#token", f"  {token('maria')}\n")
    browser.focused().send_keys(Keys.ENTER)
    browser.find("#make h1")
    assert browser.text("#who") == "maria"
    assert token("maria") not in browser.driver.page_source
    assert browser.run("return document.getElementById('token').value") == ""
    browser.click("#me summary")
    assert "Seal, make, change, look in prod" in browser.text("#rights")
    assert "Open in dev" in browser.text("#rights")
    browser.click("#sign-out")
    assert browser.find("#token").get_attribute("value") == ""


def test_what_somebody_may_not_is_said_before_or_by_the_api(browser: Browser, service: Service) -> None:
    arrive(browser, service, "open", "nobody")
    assert "No rule lets nobody do this" in browser.text("#open .denied")
    assert not browser.all("#open form")[0].is_displayed()
    browser.click("#me summary")
    assert "no rule of this service is about you" in browser.text("#no-rights")
    arrive(browser, service, "open", "maria")
    browser.put("#open textarea", service.sealed(MANIFEST).decode())
    said, _ = refused(browser, "open")
    assert "No rule lets this caller decrypt prod/db." in said
    assert service.audited()[-1]["outcome"] == "denied"


def test_a_backend_that_hangs_can_be_given_up_and_is_told_of(browser: Browser, service: Service) -> None:
    arrive(browser, service, "seal", "maria")
    browser.put("#seal textarea", MANIFEST.decode())
    browser.click("#seal .more summary")
    browser.click(f"#seal [value='{PGP}']")
    browser.click("#seal button.main")
    browser.click("#seal [data-cancel]")
    assert "nothing was changed" in browser.until(
        lambda: browser.run("return document.getElementById('live').textContent")
    )
    said, _ = refused(browser, "seal")
    assert "did not answer in time" in said
    browser.click(f"#seal [value='{PGP}']")
    send(browser, "seal")


HOSTILE = "<img src=x onerror=\"document.title='pwned'\">"


def test_hostile_names_and_values_are_text(browser: Browser, service: Service) -> None:
    hostile = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": HOSTILE, "namespace": "javascript:document.title='pwned'"},
            "type": "</dd><script>document.title='pwned'</script>",
            "data": {"__proto__": b64("a"), "constructor": b64("b")},
        },
        width=1000,
    )
    arrive(browser, service, "seal")
    browser.put("#seal textarea", hostile)
    send(browser, "seal")
    sealed = shown(browser, "seal")
    assert "</dd><script>" in sealed
    browser.click("#nav a[href='#/look']")
    browser.put("#look textarea", sealed)
    told = send(browser, "look")
    assert "__proto__" in told
    assert HOSTILE in told
    assert "</dd><script>" in told
    browser.click("#nav a[href='#/change']")
    browser.put("#change [data-field=manifest]", sealed)
    browser.until(lambda: browser.all("#change-entries option"))
    browser.put("#change-value textarea", HOSTILE)
    browser.put("#change-entry", "__proto__")
    assert "__proto__ has a new value" in send(browser, "change")
    for name in (HOSTILE, "x" * 3000):
        browser.put("#change-entry", name)
        assert refused(browser, "change")[1] == "change-entry"
    markup = "main img, main script, main iframe, main a, main svg"
    assert [one.get_attribute("outerHTML") for one in browser.all(markup)] == []
    assert browser.driver.title == "Change one value – ksecret"


def test_a_proxy_signs_people_in_and_other_sites_do_nothing_in_their_name(browser: Browser, service: Service) -> None:
    with IdentityProxy(service, token("maria")) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/#/seal"
        browser.open(url)  # which brings the proxy's cookie
        browser.open(url)
        browser.find("#seal h1")
        assert (browser.text("#who"), browser.all("#sign-out")[0].is_displayed()) == ("maria", False)
        browser.put("#seal textarea", MANIFEST.decode())
        send(browser, "seal")
        before = len(service.audited())
        browser.driver.get(f"http://localhost:{proxy.port}/elsewhere")
        browser.run("document.forms[0].submit()")
        made = "/v1/generate/generic"
        browser.until(lambda: [one for one in proxy.answers if one[1] == made])
        assert [one for one in proxy.answers if one[1] == made] == [("POST", made, 403)]
        assert len(service.audited()) == before
        browser.open(url)
        browser.find("#seal h1")
        browser.put("#seal textarea", MANIFEST.decode())
        browser.click("#nav a[href='#/open']")
        browser.put("#open textarea", service.sealed(MANIFEST.replace(b"namespace: prod", b"namespace: dev")).decode())
        send(browser, "open")
        browser.click("#nav a[href='#/seal']")
        proxy.over = "login"
        assert "sends you elsewhere" in refused(browser, "seal")[0]
        proxy.over = "bare"
        browser.click("#seal button.main")
        assert "No token" in browser.says("#token-error", "No token")
        assert browser.run("return document.querySelector('#open [data-result]').textContent") == "", (
            "it was in the clear"
        )
        browser.put("#token", token("maria"))
        browser.click("#sign-in-form button.main")
        browser.find("#seal h1")
        send(browser, "seal")  # what was typed is there still
        browser.driver.delete_all_cookies()


def test_the_page_is_served_with_headers_that_bind_browsers(service: Service) -> None:
    for path in ("/", "/page/main.js", "/page/page.css"):
        answer = service.get(path, caller="")
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
        assert b"http:" not in answer.body
        assert service.send("HEAD", path).status == 200
    page = service.get("/", caller="").body
    assert not re.search(rb"<style|<script>| on[a-z]+=| style=", page)
    assert b"data-caller" not in page
    assert b'data-caller="known"' in service.get("/").body
    for path in ("/page/", "/page/__init__.py", "/page/..%2fapp.py", "/page/nothing.js"):
        assert service.get(path, caller="").status == 401
        assert service.get(path).status == 404
