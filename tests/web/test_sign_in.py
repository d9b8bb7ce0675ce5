"""Coming in, by a real browser."""

from __future__ import annotations

import pytest

from tests.people import ROLES
from tests.web.browser import Browser

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


def test_a_person_signs_in_with_the_keyboard_alone_and_out_again(browser: Browser) -> None:
    browser.open("/jobs/")
    assert browser.path.startswith("/sign-in/?next=")
    browser.sign_in("vera")
    browser.open("/jobs/")
    assert browser.path == "/jobs/"
    browser.find("button[aria-label='Sign out']").click()
    browser.until(lambda: browser.path.startswith("/sign-in/"), "signing out leads nowhere")
    browser.open("/jobs/")
    assert browser.path.startswith("/sign-in/?next=")


@pytest.mark.parametrize("name", sorted(set(ROLES) - {"olga"}))
def test_each_role_has_a_home(browser: Browser, name: str) -> None:
    browser.sign_in(name)
    assert browser.path == "/"
    assert name in browser.text(".site-header")
