"""The page of `ksecret serve`, in a real Chromium: what people do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyrage
from selenium.webdriver.common.keys import Keys

from tests.e2e.browser import PHONE, needed
from tests.e2e.cli import MANIFEST, MARK, PASSWORD, b64
from tests.e2e.page.steps import arrive, opened, refused, send, shown
from tests.service import token
from tests.support import wait_until
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.service import Service

pytestmark = needed

VIEWS = ("make", "seal", "change", "look", "open")
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], "../<b>prod</b> db.yaml"));
const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
document.querySelector("#seal .drop").dispatchEvent(event);
"""
LIVE = "return document.getElementById('live').textContent"
TWO = MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: other").replace(b"password:", b"only-here:")


def test_values_files_and_random_ones_are_sealed(browser: Browser, service: Service, tmp_path: Path) -> None:
    blob = tmp_path / "blob.bin"
    blob.write_bytes(b"\0\xff\r\n")
    arrive(browser, service, "make", "maria")
    browser.type("#make-name", "db")
    browser.type("#make-namespace", "prod")
    row = "#entries .entry:last-of-type"
    browser.type(f"{row} input", "password")
    browser.put(f"{row} textarea", f"{MARK}\nü")
    browser.click("#add-entry")
    browser.choose(f"{row} select", "file")
    browser.run(f"document.querySelector('{row} input[type=file]').removeAttribute('hidden')")
    browser.type(f"{row} input[type=file]", str(blob))
    browser.click("#add-entry")
    browser.choose(f"{row} select", "random")
    browser.type(f"{row} input", "token")
    browser.click("#add-entry")  # which stays empty
    told = send(browser, "make")
    assert browser.focused().tag_name == "h2"
    assert "3 values sealed" in told
    assert "token: 32 random letters and digits" in told
    assert MARK not in shown(browser, "make")
    found = opened(service, shown(browser, "make"))
    assert (found["password"], found["blob.bin"]) == (f"{MARK}\nü".encode(), b"\0\xff\r\n")
    assert re.fullmatch(rb"[A-Za-z0-9]{32}", found["token"])


def test_each_kind_of_secret_has_fields_of_its_own(browser: Browser, service: Service, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path / "ca").issue("example.com")
    with open(cert, encoding="ascii") as one, open(key, encoding="ascii") as other:
        pair = one.read(), other.read()
    arrive(browser, service, "make")
    browser.type("#make-name", "thing")
    browser.type("#make-namespace", "prod")

    browser.click("[value=tls]")
    browser.put("#make-cert", pair[0])
    browser.put("#make-key", pair[0])
    assert refused(browser, "make") == (
        "A certificate rather than a private key. Cert and key may have been switched.",
        "make-key",
    )
    browser.run("document.querySelector('#make [data-text-or-file=key] input').className = ''")
    browser.type("#make [data-text-or-file=key] input", key)
    browser.until(lambda: browser.run("return document.getElementById('make-key').value") == pair[1])
    assert "belong together" in send(browser, "make")
    assert opened(service, shown(browser, "make")) == {"tls.crt": pair[0].encode(), "tls.key": pair[1].encode()}

    browser.click("[value=docker-registry]")
    assert refused(browser, "make") == ("Server, username and password are required.", "make-reg-user")
    browser.type("#make-reg-user", "robot")
    browser.type("#make-reg-password", MARK)
    send(browser, "make")
    assert list(opened(service, shown(browser, "make"))) == [".dockerconfigjson"]

    browser.click("[value=basic-auth]")
    assert refused(browser, "make") == ("Username or password is required.", "make-user")
    browser.type("#make-user", "admin")
    browser.click("#make-random-password")
    browser.put("#make-length", "8")
    said, where = refused(browser, "make")
    assert ("16" in said, where) == (True, "make-length")
    browser.put("#make-length", "40")
    assert "password: 40 random letters and digits" in send(browser, "make")
    found = opened(service, shown(browser, "make"))
    assert (found["username"], len(found["password"])) == (b"admin", 40)

    browser.click("[value=ssh-auth]")
    browser.put("#make-ssh", "ssh-ed25519 AAAA maria@example.com")
    said, where = refused(browser, "make")
    assert said == "Not an SSH private key, or damaged. It is the private key: the file without .pub."
    assert where == "make-ssh"


def test_mistakes_are_told_in_the_apis_words_at_their_field(browser: Browser, service: Service) -> None:
    arrive(browser, service, "make", "maria")
    assert refused(browser, "make") == ("A Secret needs a name.", "make-name")
    browser.type("#make-name", "Db_Login")
    browser.type("#entries input", "two words")
    said, _ = refused(browser, "make")
    assert said.startswith("Not a valid key name for a Secret: it must consist of letters")
    name = browser.find("#entries input")
    assert browser.focused() == name
    assert (name.get_attribute("aria-invalid"), said) == (
        "true",
        browser.text(f"[id='{name.get_attribute('aria-describedby')}']"),
    )
    browser.put("#entries input", "__proto__")
    browser.click("#add-entry")
    browser.type("#entries .entry:last-of-type input", "__proto__")
    assert refused(browser, "make")[0] == "Another value has this name. Keep one of the two."
    browser.put("#entries .entry:last-of-type input", "constructor")
    said, _ = refused(browser, "make")
    assert "No rule lets this caller generate Db_Login" in said
    assert re.search("Request [0-9a-f]{32}", said)
    browser.type("#make-namespace", "prod")
    told = send(browser, "make")
    assert "NAME is not a DNS subdomain" in told, "the answer's warning"
    assert opened(service, shown(browser, "make")) == {"__proto__": b"", "constructor": b""}


def test_a_dropped_file_is_sealed_byte_for_byte(browser: Browser, service: Service) -> None:
    clear = b"\xef\xbb\xbf" + MANIFEST.replace(b"\n", b"\r\n")
    arrive(browser, service, "seal", "maria")
    browser.run(DROP, b64(clear))
    browser.until(lambda: "kind: Secret" in browser.run("return document.querySelector('#seal textarea').value"))
    browser.run("document.getElementById('seal-form').reset()")
    assert refused(browser, "seal")[0].startswith("There is nothing in it."), "the dropped bytes are gone, too"
    browser.run(DROP, b64(clear))
    browser.until(lambda: "kind: Secret" in browser.run("return document.querySelector('#seal textarea').value"))
    told = send(browser, "seal")
    assert "1 Secret" in told
    assert "All other lines are as they were" in told
    browser.click("#seal .result button:nth-of-type(2)")
    path = browser.downloads / "b-prod-b-db.yaml"
    wait_until(path.exists)
    sealed = path.read_bytes()
    assert service.post("/v1/decrypt", sealed).body == clear
    marked = browser.run("return [...document.querySelectorAll('#seal .result ins')].map((one) => one.textContent)")
    kept = [line for line in sealed.decode().splitlines(keepends=True) if line not in marked]
    assert [line for line in kept if line.encode() not in clear] == []
    assert any("password: ksecret.v1." in line for line in marked)
    browser.put("#seal textarea", sealed.decode())
    assert "sealed already" in refused(browser, "seal")[0]


def test_a_file_that_can_not_be_read_is_told_at_its_field(browser: Browser, service: Service, tmp_path: Path) -> None:
    unreadable = "Blob.prototype.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'))"
    (tmp_path / "gone").touch()
    arrive(browser, service, "seal", "maria")
    browser.run(f"window.whole = Blob.prototype.arrayBuffer; {unreadable}")
    try:
        browser.run(DROP, b64(MANIFEST))  # as a folder is dropped
        assert "can’t be read" in browser.find("#seal .error:not(:empty)").text
        arrive(browser, service, "make", "maria")
        browser.type("#make-name", "db")
        browser.type("#make-namespace", "prod")
        browser.choose("#entries .entry:last-of-type select", "file")
        browser.type("#entries .entry:last-of-type input[type=file]", str(tmp_path / "gone"))
        assert "can’t be read" in refused(browser, "make")[0]
    finally:
        browser.run("Blob.prototype.arrayBuffer = window.whole")


def test_copying_gives_the_whole_text(browser: Browser, service: Service) -> None:
    arrive(browser, service, "seal")
    browser.put("#seal textarea", MANIFEST.decode())
    send(browser, "seal")
    browser.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    browser.click("#seal .result button")
    browser.until(lambda: browser.run(LIVE) == "Copied.")
    assert browser.run("return navigator.clipboard.readText()") == shown(browser, "seal")


def test_a_value_is_changed_by_somebody_who_may_not_read_it(browser: Browser, service: Service) -> None:
    sealed = service.sealed(TWO).decode()
    arrive(browser, service, "change", "setter")
    assert browser.all("#nav a.off") != []
    browser.put("#change [data-field=manifest]", sealed)
    assert refused(browser, "change") == ("Which value? Say its name.", "change-entry")
    browser.type("#change-entry", "only-here")
    browser.put("#change-value textarea", MARK)
    assert refused(browser, "change") == (
        "It holds 2 Secrets that could be meant: prod/db, prod/other. Say which: NAMESPACE/NAME.",
        "change-secret",
    )
    browser.type("#change-secret", "prod/other")
    told = send(browser, "change")
    assert "only-here has a new value" in told
    assert "All other lines are as they were" in told
    both = service.post("/v1/decrypt", shown(browser, "change").encode()).body.decode()
    assert f"only-here: {b64(MARK)}" in both
    browser.put("#change-entry", "password")
    browser.choose("#change-value select", "random")
    browser.put("#change [data-field=manifest]", service.sealed(MANIFEST).decode())
    browser.run("document.getElementById('change-secret').value = ''")
    assert "password has 32 random letters and digits" in send(browser, "change")
    assert len(opened(service, shown(browser, "change"))["password"]) == 32
    browser.choose("#change-value select", "text")
    browser.put("#change-value textarea", "")
    assert "password is empty now" in send(browser, "change")
    browser.choose("#change-value select", "remove")
    assert "password was taken away" in send(browser, "change")
    assert "password" not in opened(service, shown(browser, "change"))
    browser.put("#change-entry", "not-there")
    said, where = refused(browser, "change")
    assert (said.startswith("It has no key not-there."), where) == (True, "change-entry")


def test_whoever_may_look_is_offered_the_names_of_entries(browser: Browser, service: Service) -> None:
    arrive(browser, service, "change", "maria")
    browser.put("#change [data-field=manifest]", service.sealed(TWO).decode())
    options = "return [...document.querySelectorAll('#change-entries option')].map((one) => one.value)"
    browser.until(lambda: "password" in browser.run(options))
    browser.put("#change-secret", "prod/other")
    assert sorted(browser.run(options)) == ["only-here", "url", "username"]


def test_looking_tells_what_a_file_says_of_itself(browser: Browser, service: Service) -> None:
    sealed = service.sealed(MANIFEST, scope="namespace").decode()
    arrive(browser, service, "look", "root")
    browser.put("#look textarea", f"{sealed}---\n{MANIFEST.decode()}")
    told = send(browser, "look")
    assert told.startswith("2 Secrets")
    assert "under any name in prod" in told
    assert service.ref in told
    assert "password in the clear" in told
    assert "(today)" in told
    other = f"age:{pyrage.x25519.Identity.generate().to_public()}"
    browser.put("#look textarea", service.sealed(MANIFEST, groups=[service.ref, other], threshold="2").decode())
    told = send(browser, "look")
    assert "2 of 2 groups are needed" in told
    assert f"group 2: {other}" in told
    browser.put("#look textarea", MANIFEST.decode())
    assert refused(browser, "look")[0] == "No Secret in it is sealed. Seal does that."
    browser.put("#look textarea", "a: [")
    said, _ = refused(browser, "look")
    assert browser.focused() == browser.find("#look textarea")
    assert MARK not in said


def test_what_is_opened_is_shown_when_it_is_asked_for(browser: Browser, service: Service) -> None:
    arrive(browser, service, "open")
    browser.put("#open textarea", service.sealed(MANIFEST).decode())
    told = send(browser, "open")
    assert "not for Git" in told
    assert b64(PASSWORD) not in told
    show = browser.find("#open .result button")
    show.click()
    assert b64(PASSWORD) in browser.text("#open .result pre")
    show.click()
    assert b64(PASSWORD) not in browser.text("#open .result")
    assert browser.run("return document.querySelector('#open .result pre').textContent") == MANIFEST.decode()


def test_a_huge_file_is_sealed_and_shown(browser: Browser, service: Service) -> None:
    huge = MANIFEST + b"".join(b"  more%d: %s\n" % (number, b"x" * 70) for number in range(7000))
    arrive(browser, service, "seal")
    browser.put("#seal textarea", huge.decode())
    send(browser, "seal")
    assert shown(browser, "seal").count("\n") > 7000


def test_everything_is_done_by_keyboard(browser: Browser, service: Service) -> None:
    browser.open(f"http://127.0.0.1:{service.port}/#/make")
    keys = browser.focused
    keys().send_keys(token("maria"), Keys.ENTER)
    browser.find("#make h1")
    order = []
    for _ in range(9):
        keys().send_keys(Keys.TAB)
        order.append(keys().accessible_name)
    assert order[:4] == ["Values and files Opaque", "Name", "Namespace", "Name"]
    assert order[4:] == ["From", "Value", "Remove", "Add a value", "Scope and keys"]
    for selector, text in [("#make-name", "db"), ("#make-namespace", "prod"), ("#entries input", "a")]:
        browser.find(selector).send_keys(text)
    browser.find("#entries textarea").send_keys("b")
    browser.find("#make-name").send_keys(Keys.ENTER)
    browser.find("#make .result h2")
    keys().send_keys(Keys.TAB)
    assert keys().accessible_name == "Copy"
    browser.run("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    keys().send_keys(Keys.TAB)
    assert keys().text == "Skip to the form"


def test_axe_finds_nothing(browser: Browser, service: Service) -> None:
    browser.open(f"http://127.0.0.1:{service.port}/")
    browser.click("#sign-in-form button.main")
    browser.find("#token-error:not(:empty)")
    assert browser.accessibility() == []
    sealed = service.sealed(MANIFEST).decode()
    arrive(browser, service, "make", "maria")
    browser.click("#make .more summary")
    browser.click("#make button.main")
    browser.find("#make-name[aria-invalid]")
    browser.click("#me summary")
    assert browser.accessibility() == []
    arrive(browser, service, "look", "maria")
    browser.put("#look textarea", f"{sealed}---\n{MANIFEST.decode()}")
    send(browser, "look")
    assert browser.accessibility() == []
    browser.screen(PHONE, dark=True)
    arrive(browser, service, "change", "maria")
    browser.put("#change [data-field=manifest]", sealed)
    browser.put("#change-entry", "password")
    send(browser, "change")
    assert browser.accessibility() == []
    for view in VIEWS:
        arrive(browser, service, view, "maria")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.put("#open textarea", sealed)
    refused(browser, "open")
    assert browser.accessibility() == []
