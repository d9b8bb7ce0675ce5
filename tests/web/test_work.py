"""What people come for: give a recording, watch it, read it, hear it, mend it, take it away."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from clustercore.jobs.models import Attempt, Job
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.recording import Recording
from tests.people import person
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.hub import Hub
from transcription.services.submit import Wishes, submit_transcription

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

MENDED = "Amsterdam"
TABS = 80
"""More than any of our pages has stops."""


@pytest.fixture
def hub_at_work(hub: Hub) -> Hub:
    """Both nodes, slow enough to be watched."""
    hub.cluster.start(WORKSTATION, LAPTOP)
    hub.cluster.pull(seconds="0.6")
    return hub


@pytest.mark.parametrize(
    ("name", "size"), [("otto", DESKTOP), ("ada", PHONE)], ids=["operator-desktop", "administrator-phone"]
)
def test_a_recording_is_dropped_watched_read_heard_mended_and_taken_away(
    browser: Browser, hub_at_work: Hub, name: str, size: tuple[int, int]
) -> None:
    recording = hub_at_work.recording(f"dropped-by-{name}")
    browser.resize(size)
    browser.sign_in(name)
    browser.open("/transcribe/")
    browser.drop("#drop", [recording.path])
    browser.run("const language = document.getElementById('language'); language.value = 'en';")
    browser.find("#transcribe-go").click()
    browser.until(lambda: browser.all(".upload-job a"), "no job is made of the recording")
    browser.run("arguments[0].click()", browser.find(".upload-job a"))
    job = watched_until_done(browser, hub_at_work, recording)
    assert job.owner == person(name)
    browser.run("arguments[0].click()", browser.find("a[href^='/transcripts/']"))
    hears_a_word(browser, recording, 7)
    mends_a_word(browser, 7)
    takes_away(browser, recording, 7)
    assert browser.overflow() <= 0


def test_a_page_that_nobody_sees_follows_nothing_until_it_is_seen_again(browser: Browser, hub: Hub) -> None:
    browser.sign_in("ada")
    browser.open("/nodes/")
    browser.run(
        "window.said = []; const send = WebSocket.prototype.send;"
        "WebSocket.prototype.send = function (text) {"
        "  window.said.push(JSON.parse(text).follow); send.call(this, text); };"
    )
    browser.until(lambda: _is_connected(browser), "the page does not follow anything")
    for hidden, follows in ((True, []), (False, ["nodes"])):
        browser.run(
            "Object.defineProperty(document, 'hidden', {configurable: true, value: arguments[0]});"
            "document.dispatchEvent(new Event('visibilitychange'));",
            hidden,
        )
        browser.until(partial(_says, browser, follows), "it says something else")


def _says(browser: Browser, follows: list[str]) -> bool:
    return bool(browser.run("return window.said.at(-1)") == follows)


def _is_connected(browser: Browser) -> bool:
    """Asked by the page itself: it says again what it follows when a part of it was exchanged."""
    browser.run(
        "document.body.dataset.live = 'jobs'; document.dispatchEvent(new Event('live:follow'));"
        "document.body.dataset.live = 'nodes'; document.dispatchEvent(new Event('live:follow'));"
    )
    return bool(browser.run("return window.said.length"))


def watched_until_done(browser: Browser, hub: Hub, recording: Recording) -> Job:
    """On the page of the job, which is not reloaded; one of the two nodes dies on the way, with no time to say so."""
    browser.until(lambda: browser.path.startswith("/jobs/"), "the job's page does not open")
    job = Job.objects.get(pk=int(browser.path.strip("/").split("/")[1]))
    browser.run("window.untouched = true")
    victim = hub.cluster.until_in_hand(job, LAPTOP)
    hub.cluster.workers[LAPTOP].kill_tree()
    shares: list[str] = []
    status = f"#job-{job.pk}-status"

    def is_over() -> bool:
        share = browser.text(f"{status} .job-percent")
        if share not in shares:
            shares.append(share)
        return browser.find(status).get_attribute("data-state") == "done"

    browser.until(is_over, "the page does not come to the end", 90)
    assert browser.run("return window.untouched") is True
    assert len(shares) >= 4, shares
    assert browser.text(f"{status} .job-percent") == "100 %"
    again = Attempt.objects.filter(unit=victim.unit).order_by("number").values_list("node_name", "outcome")
    assert list(again) == [(LAPTOP, "expired"), (WORKSTATION, "done")]
    timeline = "return document.querySelector(arguments[0]).textContent"
    browser.until(lambda: "try 2" in browser.run(timeline, f"#job-{job.pk}-timeline"), "the page shows no second try")
    hub.cluster.start(LAPTOP)
    return job


def words_of(browser: Browser) -> list[str]:
    """All that can be clicked, in order; in one look, because the text may just be growing."""
    words: list[str] = browser.run(
        "return [...document.querySelectorAll('#transcript [data-t]')].map(word => word.textContent.trim())"
    )
    return words


def word_at(browser: Browser, number: int) -> WebElement:
    return browser.all("#transcript [data-t]")[number]


def hears_a_word(browser: Browser, recording: Recording, number: int) -> None:
    """A click on a word, and the sound is there."""
    browser.until(lambda: words_of(browser) == list(recording.words), "the words are not there")

    def clicked() -> str | None:
        word = word_at(browser, number)
        browser.run("arguments[0].scrollIntoView({block: 'center'})", word)
        word.click()
        return word.get_attribute("data-t")

    sounds_from(browser, float(browser.until(clicked, "the word cannot be clicked")))


def sounds_from(browser: Browser, starts: float) -> None:
    """It plays, and not from elsewhere; then it is stopped, so that nothing moves."""
    browser.until(
        lambda: browser.run("const p = document.getElementById('player'); return !p.paused && p.readyState > 2"),
        "the recording does not play",
    )
    at = browser.run("const p = document.getElementById('player'); p.pause(); return p.currentTime")
    assert starts - 0.2 <= at <= starts + 3.0


def mends_a_word(browser: Browser, number: int) -> None:
    """By the button; it is still so on a page that is loaded anew."""
    browser.run("arguments[0].click()", browser.find("#edit-word"))
    field = browser.find("#editor #remark-text")
    field.clear()
    field.send_keys(MENDED, Keys.ENTER)
    browser.until(lambda: words_of(browser)[number:][:1] == [MENDED], "the word is not mended")
    browser.open(browser.path.partition("#")[0])
    browser.until(lambda: words_of(browser)[number:][:1] == [MENDED], "the correction is not kept")


def takes_away(browser: Browser, recording: Recording, number: int) -> None:
    """As plain text and as captions, with the correction in them."""
    browser.find(".reader-downloads summary").click()
    for kind in ("txt", "srt"):
        browser.run("arguments[0].click()", browser.find(f".reader-downloads a[href$='/download/{kind}']"))
        text = browser.until(lambda: downloaded(browser.downloads, kind), f"no {kind} is downloaded")  # noqa: B023
        assert MENDED in text
        assert recording.words[number] not in text
        assert recording.words[number + 1] in text


def downloaded(directory: Path, kind: str) -> str:
    return next((path.read_text() for path in directory.glob(f"*.{kind}") if path.stat().st_size), "")


@pytest.fixture
def shared(hub_at_work: Hub) -> Job:
    """A transcript of Otto's that everybody may read."""
    recording = hub_at_work.recording("shared")
    hub_at_work.cluster.pull(seconds="")
    job, _ = submit_transcription(None, recording.path, recording.path.name, Wishes(language="en", piece_seconds=2.0))
    Job.objects.filter(pk=job.pk).update(owner=person("otto"), shared=True)
    hub_at_work.cluster.until_done(job)
    return job


def test_a_viewer_reads_hears_and_takes_away_what_is_shared_and_changes_nothing(
    browser: Browser, hub_at_work: Hub, shared: Job
) -> None:
    recording = hub_at_work.recording("shared")
    private, _ = submit_transcription(None, recording.path, "private", Wishes(language="en"))
    browser.forgiven = ["403 (Forbidden)", "404 (Not Found)"]
    browser.sign_in("vera")
    assert not browser.all("a[href='/transcribe/']")
    browser.open("/transcribe/")
    assert not browser.all("#drop")
    browser.open(f"/jobs/{private.pk}/")
    assert "private" not in browser.visible()
    browser.open("/jobs/")
    browser.run("arguments[0].click()", browser.find(f"a[href='/jobs/{shared.pk}/']"))
    browser.until_text("Transcript")
    assert not browser.all(".job-actions button, .job-actions [role=button]")
    browser.run("arguments[0].click()", browser.find("a[href^='/transcripts/']"))
    hears_a_word(browser, recording, 3)
    assert not browser.all("#edit-word, #edit-segment, #edit-speaker")
    browser.press("e")
    assert not browser.all("#editor[open]")
    browser.find(".reader-downloads summary").click()
    browser.find(".reader-downloads a[href$='/download/txt']").click()
    text = browser.until(lambda: downloaded(browser.downloads, "txt"), "no text is downloaded")
    assert recording.words[0] in text


def test_a_gap_is_seen_where_it_is_while_the_page_is_open_and_is_mended_from_there(
    browser: Browser, hub_at_work: Hub
) -> None:
    recording = hub_at_work.recording("lacking")
    hub_at_work.cluster.pull(poison=recording.words[12], seconds="0.6")
    job = hub_at_work.cluster.submit(recording)
    Job.objects.filter(pk=job.pk).update(owner=person("otto"))
    browser.sign_in("otto")
    browser.open(f"/transcripts/{job.pk}/")
    assert hub_at_work.cluster.until_ended(job) == "done"
    browser.until_text("Done, with 1 gap", "#transcript-progress")
    browser.until_text("no text: could not be heard: crashed its worker 3 times", ".part-gap")
    shown = words_of(browser)
    assert 0 < len(shown) < len(recording.words)
    assert recording.words[12] not in shown
    hub_at_work.cluster.pull(poison="")
    browser.find(".part-gap button").click()
    browser.until(lambda: words_of(browser) == list(recording.words), "what was missing does not come")
    hub_at_work.cluster.until_done(job)
    browser.until(lambda: not browser.all(".part-gap"), "the gap stays")
    browser.until_text("All of it is heard", "#transcript-progress")
    assert browser.path == f"/transcripts/{job.pk}/"


def goes_to(browser: Browser, selector: str) -> None:
    """By the Tab key alone. Fails where no number of presses leads there, or the focus cannot be seen."""
    for _ in range(TABS):
        browser.press(Keys.TAB)
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            break
    else:
        raise AssertionError(f"the Tab key does not lead to {selector} (at {browser.path})")
    seen = browser.run(
        "const style = getComputedStyle(document.activeElement);"
        "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none'"
    )
    assert seen, f"nobody sees that {selector} has the focus"


def test_all_of_it_goes_by_keyboard_alone(browser: Browser, hub_at_work: Hub) -> None:
    recording = hub_at_work.recording("typed")
    hub_at_work.cluster.pull(seconds="0.1")
    browser.sign_in("otto")
    goes_to(browser, "a[href='/transcribe/']")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.path == "/transcribe/", "the page does not open")
    goes_to(browser, "#file")
    # What the system's own window for choosing a file does after Enter.
    browser.find("#file").send_keys(str(recording.path))
    goes_to(browser, "#language")
    browser.press("eng")
    assert browser.run("return document.activeElement.value") == "en"
    goes_to(browser, "#transcribe-go")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.all(".upload-job a"), "no job is made of the recording")
    browser.press(Keys.HOME)
    goes_to(browser, ".upload-job a")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.path.startswith("/jobs/"), "the job's page does not open")
    browser.until(lambda: browser.all("[data-state=done].job-status"), "the job does not end", 60)
    goes_to(browser, "a[href^='/transcripts/']")
    browser.press(Keys.ENTER)
    browser.until(lambda: words_of(browser) == list(recording.words), "the words are not there")
    goes_to(browser, "#transcript [data-t]")
    browser.press(*[Keys.ARROW_RIGHT] * 5)
    starts = float(browser.run("return document.activeElement.dataset.t"))
    assert starts == float(str(word_at(browser, 5).get_attribute("data-t")))
    browser.press(Keys.ENTER)
    sounds_from(browser, starts)
    browser.press("e")
    browser.find("#editor[open] #remark-text")
    browser.press(*[Keys.BACKSPACE] * 12, MENDED, Keys.ENTER)
    browser.until(lambda: words_of(browser)[5:][:1] == [MENDED], "the word is not mended")
    browser.until(lambda: not browser.all("#editor[open]"), "the editor does not close")
    assert browser.run("return document.activeElement.textContent.trim()") == MENDED
    browser.open(browser.path)
    goes_to(browser, ".reader-downloads summary")
    browser.press(Keys.ENTER)
    goes_to(browser, ".reader-downloads a[href$='/download/txt']")
    browser.press(Keys.ENTER)
    text = browser.until(lambda: downloaded(browser.downloads, "txt"), "no text is downloaded")
    assert MENDED in text


def test_a_page_that_lost_its_connection_catches_up(browser: Browser, hub_at_work: Hub) -> None:
    """The cable is out while a job goes on; when it is in again, the page shows what has become of it."""
    recording = hub_at_work.recording("unplugged")
    hub_at_work.cluster.pull(seconds="0.3")
    browser.forgiven = ["WebSocket", "ERR_INTERNET_DISCONNECTED", "htmx:"]
    browser.sign_in("ada")
    job = hub_at_work.cluster.submit(recording)
    browser.open(f"/jobs/{job.pk}/")
    browser.run("window.untouched = true")
    status = f"#job-{job.pk}-status"
    browser.find(status)
    offline(browser, True)
    hub_at_work.cluster.pull(seconds="")
    hub_at_work.cluster.until_done(job)
    offline(browser, False)
    browser.until(lambda: browser.find(status).get_attribute("data-state") == "done", "the page stays behind", 60)
    assert browser.run("return window.untouched") is True


def offline(browser: Browser, is_offline: bool) -> None:
    """Of this window alone; a WebSocket that is open counts as a wire too."""
    network = {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.driver.execute_cdp_cmd("Network.enable", {})
    browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", network)
    browser.run("window.dispatchEvent(new Event(arguments[0]))", "offline" if is_offline else "online")
