"""Every page, as each role, light and dark, wide and narrow: axe-core, console and width have no complaint."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver

from clustercore.access.services.people import password_link
from clustercore.access.services.setup import make_setup_path
from clustercore.jobs.models import Job
from tests.cast import LAPTOP
from tests.people import identity, person
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.hub import Hub
from transcription.services.submit import Wishes, submit_transcription

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

ROOMS = ("access", "jobs", "nodes", "transcription")
NO_PAGE_OF_ITS_OWN = {
    # Forms of other pages, pieces of pages, sound and files.
    *(f"access:{name}" for name in ("sign-out", "change-password", "create-token", "revoke-token", "audit-verify")),
    *(f"access:{name}" for name in ("change-role", "disable", "enable", "make-link")),
    *(f"jobs:{name}" for name in ("retry", "pause", "resume", "share", "clone", "answer")),
    # What programs read, and the form of a kind that has none of its own: this hub has no such kind.
    *(f"jobs:{name}" for name in ("job-stream", "new")),
    *(f"nodes:{name}" for name in ("drain", "undrain", "forget", "pull-model", "hub-model", "wheel")),
    *(
        f"transcription:{name}"
        for name in ("audio", "download", "piece", "correction", "speaker", "rename", "try-again")
    ),
}
Pages = Mapping[str, str]


@pytest.fixture(scope="module")
def jobs(hub: Hub) -> dict[str, Job]:
    """One job that is done, one that failed, one that is paused; all of them shared by Otto."""
    recording = hub.recording("pages")
    text = hub.cluster.directory / "letter.mp3"
    text.write_bytes(b"no sound at all\n" * 300)
    made = {}
    for name, path in (("done", recording.path), ("failed", text)):
        job, _ = submit_transcription(None, path, path.name, Wishes(language="en", piece_seconds=2.0))
        assert hub.cluster.until_ended(job) == name
        made[name] = job
    Job.objects.filter(pk__in=[job.pk for job in made.values()]).update(owner=person("otto"), shared=True)
    return made


@pytest.fixture
def pages(jobs: dict[str, Job]) -> dict[str, str]:
    """The address of every page of ours by its name; several where a page has several faces."""
    done, failed = jobs["done"].pk, jobs["failed"].pk
    key, token = password_link(identity("ada"), person("olga").pk).strip("/").split("/")[-2:]
    return {
        "home": "/",
        "access:account": "/account/",
        "access:people": "/people/",
        "access:audit": "/audit/",
        "access:set-password": f"/set-password/{key}/{token}/",
        "access:setup": "/setup/a-dead-link/",
        "jobs:list": "/jobs/",
        "jobs:list (failed)": "/jobs/?state=failed",
        "jobs:list (nothing found)": "/jobs/?q=nothing-is-called-so",
        "jobs:detail": f"/jobs/{done}/",
        "jobs:detail (failed)": f"/jobs/{failed}/",
        "jobs:cancel": f"/jobs/{failed}/cancel/",
        "jobs:remove": f"/jobs/{failed}/remove/",
        "nodes:list": "/nodes/",
        "nodes:detail": f"/nodes/{LAPTOP}/",
        "transcription:new": "/transcribe/",
        "transcription:read": f"/transcripts/{done}/",
        "not found": "/nothing/",
    }


def names_of_pages() -> set[str]:
    """What the rooms' addresses are called, without those that programs call."""
    return {f"{room}:{name}" for room in ROOMS for name in names_in(room) if not name.startswith(("api-", "openai-"))}


def names_in(room: str) -> set[str]:
    def names(patterns: list[URLPattern | URLResolver]) -> set[str]:
        found: set[str] = set()
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                found.add(str(pattern.name))
            else:
                found |= names(pattern.url_patterns)
        return found

    resolvers = [one for one in get_resolver().url_patterns if isinstance(one, URLResolver) and one.namespace == room]
    return set().union(*(names(one.url_patterns) for one in resolvers))


def test_no_page_is_left_out(pages: Pages) -> None:
    visited = {name.split(" ")[0] for name in pages} | {"access:sign-in"}
    assert names_of_pages() - NO_PAGE_OF_ITS_OWN - visited == set()


def test_these_eyes_see_what_is_wrong(browser: Browser) -> None:
    browser.forgiven = [""]
    browser.open("/sign-in/")
    browser.run(
        "document.querySelector('h1').insertAdjacentHTML('afterend', '<div id=wrong style=\"width: 3000px\">"
        '<img src=data:,><p style="color: #999; background: #aaa">pale</p></div>\');'
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}));"
    )
    found = " ".join(browser.violations())
    assert "image-alt" in found
    assert browser.run("return window.ran === undefined")
    browser.forgiven = []
    browser.run("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}));")
    assert any("Content Security Policy" in line for line in browser.complaints())


def faults_of(browser: Browser, address: str) -> list[str]:
    """Everything that is wrong with a page as it is shown now."""
    browser.forgiven = ["403 (Forbidden)", "404 (Not Found)", "410 (Gone)", "409 (Conflict)"]
    browser.open(address)
    browser.find("h1, #main")
    wider = browser.overflow()
    return [
        *browser.violations(),
        *browser.complaints(),
        *([f"{wider} px wider than the window"] if wider > 0 else []),
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_administrators_pages_have_no_fault(
    browser: Browser, pages: Pages, scheme: str, size: tuple[int, int]
) -> None:
    browser.prefer(scheme)
    browser.resize(size)
    stranger = faults_of(browser, "/sign-in/")
    browser.sign_in("ada")
    faults = {name: faults_of(browser, address) for name, address in pages.items()}
    assert {name: found for name, found in {"access:sign-in": stranger, **faults}.items() if found} == {}


@pytest.mark.parametrize("name", ["otto", "vera"])
def test_what_other_roles_are_shown_has_no_fault(browser: Browser, pages: Pages, name: str) -> None:
    browser.sign_in(name)
    faults = {page: faults_of(browser, address) for page, address in pages.items()}
    assert {page: found for page, found in faults.items() if found} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_admins_pages_have_no_fault(browser: Browser, jobs: dict[str, Job], scheme: str) -> None:
    """Flower's and Swagger's pages are left out: what axe-core holds against them is theirs (docs/pages.md)."""
    browser.prefer(scheme)
    browser.sign_in("ada")
    job = jobs["failed"]
    addresses = ["/admin/", "/admin/jobs/unit/", "/admin/jobs/job/", f"/admin/jobs/job/{job.pk}/change/"]
    faults = {address: faults_of(browser, address) for address in [*addresses, "/admin/auth/user/"]}
    assert {address: found for address, found in faults.items() if found} == {}


def test_the_page_that_makes_the_first_administrator_has_no_fault(browser: Browser, hub: Hub) -> None:
    User.objects.update(is_active=False)
    try:
        assert faults_of(browser, make_setup_path()) == []
        assert browser.all("input[type=password]")
    finally:
        User.objects.update(is_active=True)
