"""How soon the page is there, in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser import Browser, needed
from tests.service import Service

if TYPE_CHECKING:
    from pathlib import Path

PAINTED = "return performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)[0]"


@needed
@pytest.mark.alone
def test_its_first_content_is_there_within_300_ms(tmp_path: Path) -> None:
    made = Service(tmp_path)
    made.config["page"] = True
    with made:
        browser = Browser(tmp_path)
        try:
            painted = []
            for _ in range(5):
                browser.open(f"http://127.0.0.1:{made.port}/")
                painted.append(browser.until(lambda: browser.run(PAINTED)))
        finally:
            browser.close()
    assert min(painted) < 300
