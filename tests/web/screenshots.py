"""`make screenshots`: fills a small cluster with real work and takes the pictures of docs/screenshots anew.

Real engines transcribe the bundled conversation, so that what is seen is what people see.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import django
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from clustercore.jobs.models import Job
    from clustercore.project.command_line.hub import Hub
    from tests.web.browser import Browser

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
NODES = ("attic", "studio", "kitchen")
COLOURS = 128
ARROW_RIGHT = "\ue014"
"""As WebDriver writes the key."""
LONGEST = 1700
"""Pixels of a page's height that are shown."""
MOST_BYTES = 2_000_000
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Picture:
    """One page, taken in each of these looks."""

    name: str
    address: str
    looks: tuple[str, ...] = ("desktop-light",)
    before: Callable[[Browser], None] | None = None
    """What a person does there before the picture is taken."""


EVERYWHERE = ("desktop-light", "desktop-dark", "phone-light", "phone-dark")
SOME = ("desktop-light", "phone-dark")


@contextmanager
def cluster() -> Iterator[Hub]:
    """A hub with three nodes in a data directory of its own, which goes at the end."""
    directory = Path(tempfile.mkdtemp(prefix="cc-pictures-"))
    directory.chmod(0o711)
    os.environ.update(CLUSTERCORE_DATA_DIR=str(directory), DJANGO_SETTINGS_MODULE="clustercore.project.settings")
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    django.setup()
    from clustercore.project.command_line.hub import NodeWish, running_hub, wait_for_nodes
    from clustercore.project.command_line.up import stop_signals

    try:
        with stop_signals(), running_hub([NodeWish(name, 1) for name in NODES], tell, flower=True) as hub:
            wait_for_nodes(hub, list(NODES), tell)
            yield hub
    finally:
        from clustercore.embedded.services import stop

        stop(directory)
        shutil.rmtree(directory, ignore_errors=True)


def tell(text: str) -> None:
    sys.stdout.write(f"… {text}\n")
    sys.stdout.flush()


def people() -> None:
    """Ada administers, Otto operates, Vera looks on."""
    from clustercore.access.domain.identity import Identity
    from clustercore.access.domain.roles import Permission, Role
    from clustercore.access.selectors import identity_of_user
    from clustercore.access.services.people import add_person
    from clustercore.access.services.tokens import make_token

    setup = Identity(None, "setup link", None)
    ada = add_person(setup, "ada", Role.ADMINISTRATOR, PASSWORD)
    actor = identity_of_user(ada)
    add_person(actor, "otto", Role.OPERATOR, PASSWORD)
    add_person(actor, "vera", Role.VIEWER, PASSWORD)
    make_token(actor, actor, "nightly transcription of the archive", frozenset({Permission.SUBMIT}), None)


def submitted(name: str, owner: str, source: Path, **wishes: object) -> Job:
    """A job over a copy of a file, under a name of its own."""
    from django.contrib.auth.models import User

    from clustercore.jobs.models import Job
    from transcription.services.submit import Wishes, submit_transcription

    job, _ = submit_transcription(None, source, name, Wishes(**{"language": "en", **wishes}))  # type: ignore[arg-type]
    Job.objects.filter(pk=job.pk).update(owner=User.objects.get(username=owner), shared=owner == "otto")
    return job


def ended(job: Job) -> bool:
    job.refresh_from_db()
    return job.state in ("done", "failed", "cancelled")


def work(directory: Path) -> dict[str, int]:
    """One job of each fate; returns their ids by it."""
    import transcription
    from clustercore.jobs.services.control import pause_job
    from tests.faults.waiting import until

    talk = Path(transcription.__file__).parent / "samples" / "conversation.opus"
    letter = directory / "letter.mp3"
    letter.write_bytes(b"Dear Anneliese, this is no sound.\n" * 400)
    jobs = {
        "done": submitted("Team meeting in March.opus", "otto", talk, piece_seconds=14.0),
        "failed": submitted("Letter to Anneliese.mp3", "ada", letter),
        "failed too": submitted("Invoice 2031.mp3", "otto", letter),
    }
    for name, job in jobs.items():
        tell(f"waiting for the job that is {name}")
        until(lambda: ended(job), 240, f"the job that is {name} does not end")  # noqa: B023
    jobs["waiting"] = submitted("Lecture on tides.opus", "ada", talk, engine="faster-whisper:small")
    jobs["paused"] = submitted("Reading circle, evening 4.opus", "otto", talk, piece_seconds=12.0)
    pause_job(jobs["paused"].pk)
    return {name: job.pk for name, job in jobs.items()}


def pictures_of(jobs: dict[str, int]) -> list[Picture]:
    """Of every page."""
    reader, running = f"/transcripts/{jobs['done']}/", f"/jobs/{jobs['running']}/"
    return [
        Picture("job-running", running, EVERYWHERE),
        Picture("home", "/", EVERYWHERE),
        Picture("jobs", "/jobs/", EVERYWHERE),
        Picture("job-done", f"/jobs/{jobs['done']}/"),
        Picture("job-failed", f"/jobs/{jobs['failed']}/", SOME),
        Picture("job-waiting", f"/jobs/{jobs['waiting']}/"),
        Picture("reader", reader, EVERYWHERE, choose_a_word),
        Picture("reader-correction", reader, SOME, correct_a_word),
        Picture("transcribe", "/transcribe/", EVERYWHERE),
        Picture("nodes", "/nodes/", EVERYWHERE),
        Picture("node", f"/nodes/{NODES[0]}/"),
        Picture("account", "/account/", SOME),
        Picture("people", "/people/"),
        Picture("audit", "/audit/", SOME),
        Picture("admin-units", "/admin/jobs/unit/?state__exact=failed"),
        Picture("flower-tasks", "/flower/tasks", before=until_tasks),
        Picture("api", "/api/v1/docs", before=until_api),
    ]


def choose_a_word(browser: Browser) -> None:
    browser.until(lambda: len(browser.all("#transcript [data-t]")) > 40, "there are no words")
    browser.run("document.querySelector('#transcript [data-t][tabindex]').focus();")
    browser.press(*[ARROW_RIGHT] * 23)


def correct_a_word(browser: Browser) -> None:
    choose_a_word(browser)
    browser.press("e")
    browser.find("#editor[open] #remark-text")


def until_tasks(browser: Browser) -> None:
    browser.find("button[data-task-state=FAILURE]").click()
    browser.until_text("AttemptFailed")


def until_api(browser: Browser) -> None:
    browser.until_text("/api/v1/jobs", seconds=60)


def take(browser: Browser, picture: Picture) -> None:
    """One file for each look."""
    from tests.web.browser import DESKTOP, PHONE

    for look in picture.looks:
        size, _, scheme = look.partition("-")
        width, height = PHONE if size == "phone" else DESKTOP
        browser.prefer(scheme)
        browser.resize((width, height))
        browser.open(picture.address)
        browser.until(lambda: browser.run("return document.readyState") == "complete", "the page does not load")
        if picture.before is not None:
            picture.before(browser)
        if not browser.all("dialog[open]"):
            full = int(browser.run("return document.documentElement.scrollHeight"))
            browser.resize((width, min(LONGEST, max(height, full))))
        browser.until(lambda: browser.run("return document.fonts.status") == "loaded", "the fonts do not load")
        save(browser.driver.get_screenshot_as_png(), f"{picture.name}-{look}")


def save(png: bytes, name: str) -> None:
    """With a palette: a third of the size. Half of it is the commonest colours as they are, the other half is chosen
    so that the colours of small things, such as those of nodes, are not lost."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    common = sorted(image.getcolors(image.width * image.height) or [], reverse=True)[:COLOURS]
    rare = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    colours = np.array([colour for _, colour in common], dtype=np.uint8)
    palette.putpalette([*colours.flatten().tolist(), *rare[: 3 * COLOURS]])
    small = image.quantize(palette=palette, dither=Image.Dither.NONE)
    small.save(PICTURES / f"{name}.png", optimize=True)


def signed_in(browser: Browser, name: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open("/sign-in/")
    browser.find("input[name=name]").send_keys(name)
    browser.find("input[name=password]").send_keys(PASSWORD, Keys.ENTER)
    browser.until(lambda: "/sign-in/" not in browser.path, "nobody comes in")


def main() -> int:
    """Takes them all; 1 where there is no browser."""
    with cluster() as hub, tempfile.TemporaryDirectory(prefix="cc-window-") as name:
        import transcription
        from clustercore.access.services.setup import make_setup_path
        from tests.web.browser import chromium, why_not

        if why_not():
            tell(why_not())
            return 1
        PICTURES.mkdir(exist_ok=True)
        with chromium(hub.web_url, Path(name) / "chromium") as browser:
            browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            take(browser, Picture("setup", make_setup_path(), SOME))
            people()
            take(browser, Picture("sign-in", "/sign-in/", EVERYWHERE))
            jobs = work(Path(name))
            signed_in(browser, "ada")
            talk = Path(transcription.__file__).parent / "samples" / "conversation.opus"
            jobs["running"] = submitted("Interview with the harbour master.opus", "otto", talk, piece_seconds=7.0).pk
            browser.open(f"/jobs/{jobs['running']}/")
            pieces = f"#job-{jobs['running']}-pieces .piece-done"
            browser.until(lambda: len(browser.all(pieces)) > 5, "no pieces are done", 120)
            for picture in pictures_of(jobs):
                tell(picture.name)
                take(browser, picture)
    total = sum(path.stat().st_size for path in PICTURES.glob("*.png"))
    tell(f"{len(list(PICTURES.glob('*.png')))} pictures, {total // 1000} kB, in {PICTURES}")
    return 0 if total <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
