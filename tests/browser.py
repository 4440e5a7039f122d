"""A real browser, Chromium driven by Selenium, for the tests of pages.

`apt-get install chromium chromium-driver` brings both programs.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=1000,900",
)


@contextmanager
def open_browser() -> Iterator[Any]:
    """A Selenium driver whose console is recorded; skips where there is no Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no browser is installed: apt-get install chromium chromium-driver")
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options, selenium.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def complaints(browser: Any) -> list[str]:
    """What the browser found wrong since it was last asked: errors, refused or missing files."""
    levels = ("SEVERE", "WARNING")
    return [e["message"] for e in browser.get_log("browser") if e["level"] in levels]


def wait_until(browser: Any, condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until `condition` gives something true, and return it."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, seconds, 0.05).until(lambda _: condition())


def texts(browser: Any, selector: str) -> list[str]:
    """The texts of all elements that a CSS selector finds, at one moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    found: list[str] = browser.execute_script(script, selector)
    return found
