"""The page of `ksecret serve`, in a real Chromium: what people do there, and what nobody can do to them."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from selenium.webdriver.common.keys import Keys

from tests.e2e.browser import DESK, PHONE, Browser, needed
from tests.e2e.cli import BIN, MANIFEST, MARK, PASSWORD, b64
from tests.emulators.identity_proxy import IdentityProxy
from tests.service import Service, entry, rule, token
from tests.support import wait_until
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needed

PGP = f"pgp:{'AB' * 20}"
VIEWS = ("make", "seal", "change", "look", "open")
WRONG = "#{view} .error:not(:empty), #{view} [data-problem]:not([hidden])"
EMPTY = """
for (const form of document.forms) form.reset();
for (const one of document.querySelectorAll("[data-result]")) one.hidden = true;
for (const one of document.querySelectorAll("details")) one.open = false;
document.getElementById("change-secret-field").hidden = true;
location.hash = `#/${arguments[0]}`;
"""
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], "../<b>prod</b> db.yaml"));
const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
document.querySelector("#seal .drop").dispatchEvent(event);
"""
LIVE = "return document.getElementById('live').textContent"
TWO = MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: other").replace(b"password:", b"only-here:")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Whose gpg never answers."""
    folder = tmp_path_factory.mktemp("service")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "gpg").write_text("#!/bin/sh\nexec sleep 60\n")
    (programs / "gpg").chmod(0o755)
    made = Service(folder, PATH=os.pathsep.join((str(programs), BIN, os.environ["PATH"])))
    made.config["page"] = True
    made.config["limits"]["backendSeconds"] = 1.5
    made.config["tokens"] += [entry(name) for name in ("maria", "setter", "nobody")]
    made.config["rules"] += [
        rule("maria", "encrypt", "generate", "set", "inspect", namespaces=["prod"], keys=[made.ref, PGP]),
        rule("maria", "decrypt", namespaces=["dev"], keys=[made.ref]),
        rule("setter", "set", keys=[made.ref]),
    ]
    with made:
        yield made


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture
def browser(started: Browser, service: Service) -> Iterator[Browser]:
    """Which complains of nothing, asks for nothing from anywhere else, and keeps nothing."""
    started.screen(DESK)
    started.asked()
    started.console()
    yield started
    told = "return [document.cookie, localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"
    assert started.run(f"return (async () => {{ {told} }})()") == ["", 0, 0, 0]
    assert started.console() == []
    assert [url for url in started.asked() if not re.match(r"(blob:)?http://(127\.0\.0\.1|localhost):", url)] == []


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
    assert refused(browser, "make") == ('A Secret needs a name. Send {"name": …}.', "make-name")
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
        "It holds 2 Secrets that could be meant: prod/db, prod/other. Say secret: NAMESPACE/NAME.",
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
        proxy.over = "login"
        assert "sends you elsewhere" in refused(browser, "seal")[0]
        proxy.over = "bare"
        browser.click("#seal button.main")
        assert "No token" in browser.says("#token-error", "No token")
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
