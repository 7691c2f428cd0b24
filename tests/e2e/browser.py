"""A real Chromium, as somebody who looks at the page, and a record of what it asked for and complained about."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
THERE = bool(shutil.which(CHROMIUM) and shutil.which(DRIVER))
needed = pytest.mark.skipif(not THERE, reason="Chromium is not here: apt-get install chromium chromium-driver")

_WORDS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio"),
    *("--disable-extensions", "--hide-scrollbars", "--disable-gpu-compositing"),
    *("--renderer-process-limit=1", "--disable-site-isolation-trials", "--disable-breakpad"),
    "--disable-features=Translate,OptimizationHints,MediaRouter,SpareRendererForSitePerProcess,BackForwardCache",
)
PHONE = (390, 844)
DESK = (900, 800)
SOON = 20
"""Seconds that anything may take to show, on a busy machine."""


class Browser:
    """One Chromium for many tests; `fresh` makes it as new."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in (*_WORDS, f"--user-data-dir={folder / 'profile'}", f"--window-size={DESK[0]},{DESK[1]}"):
            options.add_argument(word)
        self.downloads = folder / "downloads"
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.page_load_strategy = "eager"
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER, env=dict(os.environ)))
        self._opened = 0

    def close(self) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        """Load it anew, with a query of its own: else another fragment is the same page."""
        self._opened += 1
        address, mark, fragment = url.partition("#")
        self.driver.get(f"{address}?{self._opened}{mark}{fragment}")

    def find(self, selector: str) -> WebElement:
        """The first that is shown, once it is."""
        return self.until(lambda: next((one for one in self.all(selector) if one.is_displayed()), None), selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, found: Callable[[], Any], what: str = "") -> Any:
        return WebDriverWait(self.driver, SOON, 0.03).until(lambda _: found(), what)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def type(self, selector: str, text: str) -> None:
        self.find(selector).send_keys(text)

    def put(self, selector: str, text: str) -> None:
        """What pasting does: all of it at once."""
        element = self.find(selector)
        said = "arguments[0].value = arguments[1]; for (const type of ['input', 'change'])"
        self.run(f"{said} arguments[0].dispatchEvent(new Event(type, {{bubbles: true}}));", element, text)

    def choose(self, selector: str, value: str) -> None:
        self.put(selector, value)

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def says(self, selector: str, part: str) -> str:
        """The text of it, once it has that part."""
        self.until(lambda: part in self.text(selector), f"{part} in {selector}")
        return self.text(selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def screen(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """A phone is one with a small width; None undoes it."""
        command = self.driver.execute_cdp_cmd
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"features": [feature]})
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500}
        command("Emulation.setDeviceMetricsOverride", metrics)

    def accessibility(self) -> list[str]:
        """What axe's rules find, of which each is a mistake."""
        found = Axe().run(self.driver, options={"resultTypes": ["violations"]})
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]
        ]

    def console(self) -> list[str]:
        """Errors and warnings, but for statuses of answers, which are told as errors, too."""
        told = [one["message"] for one in self.driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
        return [message for message in told if "Failed to load resource: the server responded" not in message]

    def asked(self) -> list[str]:
        """Addresses that were asked for since it was last called, by this page and by nothing else of the browser."""
        found = []
        for line in self.driver.get_log("performance"):
            event = json.loads(line["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                found.append(event["params"]["request"]["url"])
        return [url for url in found if not url.startswith(("data:", "about:"))]
