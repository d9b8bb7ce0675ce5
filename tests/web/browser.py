"""Chromium without a window, and what a person does with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.faults.waiting import until
from tests.people import PASSWORD

T = TypeVar("T")
CHROMIUM, DRIVER = "chromium", "chromedriver"
DESKTOP, PHONE = (1280, 900), (390, 844)
PATIENCE_SECONDS = 20.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--force-prefers-reduced-motion",
)
SERIOUS = ("serious", "critical")
AXE = "selenium_axe_python"


def why_not() -> str:
    """Why there can be no browser here; empty if there can."""
    missing = [program for program in (CHROMIUM, DRIVER) if shutil.which(program) is None]
    return f"{' and '.join(missing)} missing: apt install chromium chromium-driver" if missing else ""


@dataclass
class Browser:
    """One window; whatever went wrong in it is told at its end."""

    driver: Chrome
    url: str
    downloads: Path
    forgiven: list[str] = field(default_factory=list)
    """Parts of console lines that a test expects."""

    def open(self, path: str) -> None:
        """A page of the hub."""
        self.driver.get(f"{self.url}{path}")

    @property
    def path(self) -> str:
        """Where the window is, without the hub's address."""
        return self.driver.current_url.removeprefix(self.url)

    def sign_in(self, name: str) -> None:
        """By the form, with the keyboard."""
        self.open("/sign-in/")
        self.find("input[name=name]").send_keys(name)
        self.find("input[name=password]").send_keys(PASSWORD, Keys.ENTER)
        self.until(lambda: "/sign-in/" not in self.path, "the sign-in page does not go away")

    def find(self, selector: str) -> WebElement:
        """The first element that fits, once it is there."""
        return self.until(lambda: self.all(selector), f"there is no {selector}")[0]

    def all(self, selector: str) -> list[WebElement]:
        """Every element that fits now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return str(self.find(selector).text)

    def press(self, *keys: str) -> None:
        """On whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        """JavaScript, as a debugger runs it: the page's content policy does not stop it."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
        """The condition's first true value; an element that was replaced meanwhile counts as not yet."""

        def tried() -> T | None:
            try:
                return condition()
            except StaleElementReferenceException:
                return None

        return until(tried, seconds, lambda: f"{what} (at {self.path}: {self.visible()[:1500]!r})")

    def visible(self) -> str:
        """All text of the page."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def until_text(self, text: str, selector: str = "body", seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until it can be read there."""
        self.until(lambda: text in self.text(selector), f"{text!r} does not appear", seconds)

    def resize(self, size: tuple[int, int]) -> None:
        """The page's own width and height, in CSS pixels."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """`dark` or `light`, as the system would say."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def drop(self, selector: str, files_dropped: Sequence[Path]) -> None:
        """Drags files over an element and lets them go, as a file manager does."""
        chooser = self.run(
            "const chooser = document.createElement('input'); chooser.type = 'file'; chooser.multiple = true;"
            "chooser.id = 'test-files'; document.body.append(chooser); return chooser;"
        )
        chooser.send_keys("\n".join(str(path) for path in files_dropped))
        self.run(
            "const [zone, chooser] = arguments; const bag = new DataTransfer();"
            "for (const file of chooser.files) bag.items.add(file); chooser.remove();"
            "for (const kind of ['dragenter', 'dragover', 'drop'])"
            "  zone.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: bag}));",
            self.find(selector),
            chooser,
        )

    def violations(self) -> list[str]:
        """What axe-core holds against the page, if serious or critical: rule, help and where."""
        self.run((files(AXE) / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then("
            "result => done(result.violations), error => done([{impact: 'critical', id: String(error), nodes: []}]));"
        )
        return [described(violation) for violation in found if violation["impact"] in SERIOUS]

    def complaints(self) -> list[str]:
        """Errors of the console since the last look, refused content and failed scripts among them."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        lines = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        return [line for line in lines if not any(part in line for part in self.forgiven)]

    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def described(violation: dict[str, Any]) -> str:
    nodes = [f"{node['target']} {node.get('failureSummary', '')}" for node in violation["nodes"][:5]]
    return f"{violation['impact']} {violation['id']}: {violation.get('help')}: {json.dumps(nodes)}"


@contextmanager
def chromium(url: str, directory: Path) -> Iterator[Browser]:
    """A window with an empty profile of its own."""
    downloads = directory / "downloads"
    downloads.mkdir(parents=True)
    options = ChromeOptions()
    options.binary_location = str(shutil.which(CHROMIUM))
    for flag in (*FLAGS, f"--user-data-dir={directory / 'profile'}", f"--window-size={DESKTOP[0]},{DESKTOP[1]}"):
        options.add_argument(flag)
    several = "profile.default_content_setting_values.automatic_downloads"
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), several: 1})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(str(shutil.which(DRIVER))))
    try:
        driver.set_script_timeout(60)
        driver.set_page_load_timeout(60)
        browser = Browser(driver, url, downloads)
        browser.resize(DESKTOP)
        yield browser
    finally:
        try:
            driver.quit()
        except WebDriverException:
            driver.service.stop()
