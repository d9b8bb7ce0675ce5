"""The real `openai` package against a running hub: every format, streaming, words, and each kind of error."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import httpx
import openai
import psutil
import pytest

from clustercore.access.domain.roles import Permission
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import cancel_job
from tests.faults.waiting import until
from tests.integration.transcription.api.conftest import NODE, Hub
from tests.people import token_of

AUTO = "clustercore/auto"
# The package has marked its translations as old; the address is still asked for.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


def test_json_is_the_text_and_how_long_it_was(hub: Hub) -> None:
    recording = hub.recording("json")
    heard = hub.sdk().audio.transcriptions.create(model=AUTO, file=recording.path, language="en")
    assert tuple(heard.text.split()) == recording.words
    assert heard.usage is not None and heard.usage.type == "duration" and heard.usage.seconds > 5


@pytest.mark.parametrize(
    ("response_format", "begins", "holds"),
    [("text", "w", " w"), ("srt", "1\n00:00:0", " --> "), ("vtt", "WEBVTT\n\n00:00:0", " --> ")],
)
def test_plain_formats_are_strings(hub: Hub, response_format: Any, begins: str, holds: str) -> None:
    recording = hub.recording("json")
    text = hub.sdk().audio.transcriptions.create(
        model="whisper-1", file=recording.path, response_format=response_format, language="en"
    )
    assert isinstance(text, str)
    assert text.startswith(begins) and holds in text
    assert [word for word in recording.words if word not in text] == []


def test_verbose_json_has_segments_unless_words_alone_were_asked_for(hub: Hub) -> None:
    recording = hub.recording("json")
    ask = hub.sdk().audio.transcriptions.create
    plain = ask(model=AUTO, file=recording.path, response_format="verbose_json", language="en")
    assert plain.language == "en" and plain.duration > 5 and plain.words is None
    assert plain.segments
    first = plain.segments[0]
    assert first.id == 0 and first.end > first.start and first.tokens == [] and first.seek == 0
    assert [first.temperature, first.avg_logprob, first.compression_ratio, first.no_speech_prob] == [0, 0, 0, 0]
    words = ask(
        model=AUTO,
        file=recording.path,
        response_format="verbose_json",
        timestamp_granularities=["word"],
        language="en",
    )
    assert words.segments is None and words.words is not None
    assert tuple(word.word for word in words.words) == recording.words
    assert all(word.end > word.start for word in words.words)
    both = ask(
        model=AUTO,
        file=recording.path,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
    )
    assert both.words and both.segments


def test_log_probabilities_are_those_of_the_words(hub: Hub) -> None:
    recording = hub.recording("json")
    heard = hub.sdk().audio.transcriptions.create(model=AUTO, file=recording.path, include=["logprobs"], language="en")
    assert heard.logprobs is not None
    assert tuple(one.token for one in heard.logprobs) == recording.words
    assert {one.logprob for one in heard.logprobs} == {0.0}


def test_a_stream_tells_text_as_it_becomes_final_and_then_the_whole(hub: Hub) -> None:
    recording = hub.recording("long", words=60)
    hub.cluster.pull(seconds="0.5")
    began = time.monotonic()
    arrived, deltas, last = [], [], None
    for event in hub.sdk().audio.transcriptions.create(
        model=AUTO, file=recording.path, stream=True, language="en", chunking_strategy="auto"
    ):
        if event.type == "transcript.text.delta":
            arrived.append(time.monotonic() - began)
            deltas.append(event.delta)
        last = event
    assert last is not None and last.type == "transcript.text.done"
    assert "".join(deltas) == last.text
    assert tuple(last.text.split()) == recording.words
    assert getattr(last, "usage").seconds > 10  # noqa: B009 (the package's type knows tokens only)
    assert len(deltas) > 3


def test_who_speaks_is_refused_where_no_engine_tells(hub: Hub) -> None:
    with pytest.raises(openai.BadRequestError, match="who speaks") as refused:
        hub.sdk().audio.transcriptions.create(
            model=AUTO, file=hub.recording("json").path, response_format="diarized_json", language="en"
        )
    assert refused.value.param == "response_format"


def test_a_translation_is_done_by_an_engine_that_can(hub: Hub) -> None:
    recording = hub.recording("json")
    heard = hub.sdk().audio.translations.create(model=AUTO, file=recording.path, extra_body={"language": "de"})
    assert heard.text.split() == [word.replace("w", "English-") for word in recording.words]
    verbose = hub.sdk().audio.translations.create(
        model=AUTO, file=recording.path, response_format="verbose_json", extra_body={"language": "de"}
    )
    assert verbose.segments and verbose.language == "de"
    text = hub.sdk().audio.translations.create(
        model=AUTO, file=recording.path, response_format="text", extra_body={"language": "de"}
    )
    assert isinstance(text, str) and text.startswith("English-")


def test_an_engine_that_cannot_translate_is_refused_with_the_remedy(hub: Hub) -> None:
    with pytest.raises(openai.BadRequestError, match="clustercore models pull") as refused:
        hub.sdk().audio.translations.create(model="oracle:tones", file=hub.recording("json").path)
    assert refused.value.param == "model"


def test_models_are_ways_of_choosing_and_what_live_nodes_have(hub: Hub) -> None:
    listed = hub.sdk("vera").models.list().data
    assert [model.id for model in listed] == [AUTO, "clustercore/accurate", "whisper-1", "oracle:tones"]
    assert all(model.object == "model" and model.created > 0 and model.owned_by for model in listed)
    assert hub.sdk("vera").models.retrieve(AUTO).id == AUTO
    with pytest.raises(openai.NotFoundError) as refused:
        hub.sdk("vera").models.retrieve("whisper-9")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("model", ["clustercore/accurate", "oracle:tones"])
def test_each_listed_model_serves(hub: Hub, model: str) -> None:
    recording = hub.recording("json")
    heard = hub.sdk().audio.transcriptions.create(model=model, file=recording.path, language="en")
    assert tuple(heard.text.split()) == recording.words


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities[]"),
        ({"timestamp_granularities": ["line"], "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"language": "klingon"}, "language"),
        ({"temperature": 7}, "temperature"),
        ({"stream": True, "response_format": "srt"}, "stream"),
        ({"include": ["tokens"]}, "include[]"),
        ({"extra_body": {"lenguage": "de"}}, "lenguage"),
        ({"extra_body": {"known_speaker_names": ["Ada"]}}, "known_speaker_names"),
    ],
)
def test_what_cannot_be_right_is_named(hub: Hub, options: dict[str, Any], param: str) -> None:
    before = Job.objects.count()
    with pytest.raises(openai.BadRequestError) as refused:
        hub.sdk().audio.transcriptions.create(**{"model": AUTO, "file": hub.recording("json").path, **options})
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id
    assert Job.objects.count() == before


def test_a_file_that_is_no_recording_is_the_senders_mistake(hub: Hub) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        hub.sdk().audio.transcriptions.create(model=AUTO, file=("talk.mp3", b"not sound at all " * 100))
    assert (refused.value.param, refused.value.code) == ("file", "unusable_media")
    with pytest.raises(openai.BadRequestError, match="empty"):
        hub.sdk().audio.transcriptions.create(model=AUTO, file=("talk.mp3", b""))


def test_a_file_that_is_missing_is_named(hub: Hub) -> None:
    with hub.client() as client:
        for sent in ({"data": {"model": AUTO}}, {"json": {"model": AUTO}}, {"files": {"sound": b"x"}}):
            refused = client.post("/v1/audio/transcriptions", **sent)
            assert refused.status_code == 400
            assert refused.json()["error"]["param"] == "file"
        assert client.get("/v1/audio/transcriptions").status_code == 405
        unknown = client.get("/v1/audio/nothing")
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")


def test_a_model_that_nobody_has_is_not_found(hub: Hub) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        hub.sdk().audio.transcriptions.create(model="faster-whisper:large-v3", file=hub.recording("json").path)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_strangers_and_onlookers_are_refused(hub: Hub) -> None:
    stranger = hub.sdk(token="cc_wrong")
    with pytest.raises(openai.AuthenticationError) as unknown:
        stranger.audio.transcriptions.create(model=AUTO, file=hub.recording("json").path)
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        hub.sdk("vera").audio.transcriptions.create(model=AUTO, file=hub.recording("json").path)
    reader = hub.sdk(token=token_of("otto", Permission.VIEW))
    with pytest.raises(openai.PermissionDeniedError):
        reader.audio.transcriptions.create(model=AUTO, file=hub.recording("json").path)
    assert httpx.get(f"{hub.url}/v1/models", trust_env=False).status_code == 401


def test_a_larger_file_than_the_hub_takes_is_refused(hub: Hub) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        hub.sdk().audio.transcriptions.create(model=AUTO, file=("talk.wav", bytes(21_000_000)))
    assert refused.value.status_code == 413


def test_a_request_sent_again_attaches_to_the_running_job(hub: Hub) -> None:
    recording = hub.recording("again")
    hub.cluster.pull(seconds="3")
    before = Job.objects.count()
    impatient = hub.sdk(timeout=1.5, max_retries=4)
    heard = impatient.audio.transcriptions.create(model=AUTO, file=recording.path, language="en")
    assert tuple(heard.text.split()) == recording.words
    assert Job.objects.count() == before + 1


def test_another_format_of_the_same_sound_is_answered_by_the_same_job(hub: Hub) -> None:
    recording = hub.recording("formats")
    before = Job.objects.count()
    for response_format in ("json", "srt", "verbose_json"):
        hub.sdk().audio.transcriptions.create(
            model=AUTO, file=recording.path, response_format=response_format, language="en"
        )
    assert Job.objects.count() == before + 1
    hub.sdk("olga").audio.transcriptions.create(model=AUTO, file=recording.path, language="en")
    assert Job.objects.count() == before + 2
    hub.sdk().audio.transcriptions.create(
        model=AUTO, file=recording.path, language="en", extra_headers={"Idempotency-Key": "once more"}
    )
    assert Job.objects.count() == before + 3


def test_a_key_of_ones_own_means_one_request(hub: Hub) -> None:
    ask = hub.sdk(max_retries=2).audio.transcriptions.create
    mine: Any = {"model": AUTO, "language": "en", "extra_headers": {"Idempotency-Key": "only this"}}
    before = Job.objects.count()
    first, again = (ask(file=hub.recording("json").path, **mine) for _ in range(2))
    assert first == again
    with pytest.raises(openai.ConflictError) as refused:
        ask(file=hub.recording("formats").path, **mine)
    assert refused.value.code == "idempotency_key_reused"
    with pytest.raises(openai.ConflictError):
        ask(file=hub.recording("json").path, prompt="Ada", **mine)
    assert Job.objects.count() == before + 1


def test_a_job_goes_on_when_its_client_hangs_up(hub: Hub) -> None:
    recording = hub.recording("hung up")
    hub.cluster.pull(seconds="2")
    with pytest.raises(openai.APITimeoutError):
        hub.sdk(timeout=1).audio.transcriptions.create(model=AUTO, file=recording.path, language="en")
    job = Job.objects.latest("pk")
    hub.cluster.until_done(job)


def test_a_job_that_nobody_can_do_yet_is_answered_in_time_and_stays(hub: Hub) -> None:
    hub.cluster.workers[NODE].signal(signal.SIGTERM)
    hub.cluster.workers[NODE].process.wait(30)
    recording = hub.recording("waits")
    with pytest.raises(openai.InternalServerError) as refused:
        hub.sdk().audio.transcriptions.create(model=AUTO, file=recording.path, language="en")
    assert (refused.value.status_code, refused.value.code) == (503, "no_able_node")
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "clustercore node" in refused.value.message
    assert 0 < int(refused.value.response.headers["Retry-After"]) <= 120
    job = Job.objects.latest("pk")
    assert job.state == "running"
    with pytest.raises(openai.APIError, match="clustercore node"):
        list(hub.sdk().audio.transcriptions.create(model=AUTO, file=recording.path, language="en", stream=True))
    with pytest.raises(openai.InternalServerError, match="clustercore models pull"):
        hub.sdk().audio.translations.create(model=AUTO, file=recording.path)
    assert Job.objects.latest("pk") == job


def test_a_job_that_is_cancelled_or_crashes_is_not_asked_for_again(hub: Hub) -> None:
    recording = hub.recording("cancelled")
    hub.cluster.pull(seconds="20")
    before = Job.objects.count()

    def cancelled() -> bool:
        job = Job.objects.filter(state="running").latest("pk")
        until(lambda: job.units.filter(state="leased").exists(), 20, "nothing runs")
        cancel_job(job.pk)
        return True

    stream = hub.sdk(max_retries=2).audio.transcriptions.create(
        model=AUTO, file=recording.path, language="en", stream=True
    )
    assert cancelled()
    with pytest.raises(openai.APIError, match="was cancelled"):
        list(stream)
    poisoned = hub.recording("poisoned")
    hub.cluster.pull(seconds="", poison="\n".join(poisoned.words))
    with pytest.raises(openai.InternalServerError) as failed:
        hub.sdk(max_retries=2).audio.transcriptions.create(model=AUTO, file=poisoned.path, language="en")
    assert failed.value.code == "job_failed"
    assert Job.objects.count() == before + 2


def test_what_can_be_heard_is_answered_with_what_is_missing(hub: Hub) -> None:
    recording = hub.recording("lacking", words=60)
    poisoned = recording.words[-1]
    hub.cluster.pull(poison=poisoned)
    before = Job.objects.count()

    def ask(**wishes: Any) -> Any:
        return hub.sdk().audio.transcriptions.create(model=AUTO, file=recording.path, language="en", **wishes)

    told = ask()
    heard = told.text.split()
    assert poisoned not in heard
    assert heard == [word for word in recording.words if word in heard]
    [gap] = told.model_extra["gaps"]
    assert 0 < gap["start"] < gap["end"]
    assert gap["reason"].startswith("could not be heard: crashed its worker 3 times")
    verbose = ask(response_format="verbose_json")
    assert verbose.model_extra["gaps"] == [gap]
    assert not [one for one in verbose.segments if gap["start"] <= one.start < gap["end"]]
    for response_format in ("text", "srt", "vtt"):
        assert "[no text" in ask(response_format=response_format)
    *deltas, last = ask(stream=True)
    assert "".join(event.delta for event in deltas) == last.text == told.text
    assert last.model_extra["gaps"] == [gap]
    assert Job.objects.count() == before + 1


def test_too_many_requests_are_told_to_wait(hub: Hub) -> None:
    """The limit itself is tested elsewhere; here, that clients understand the answer."""
    with hub.client("olga") as client:
        for _ in range(100):
            begun = client.post("/api/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
            assert begun.status_code == 201
    programs = hub.sdk("olga").with_options(base_url=f"{hub.url}/api/v1")
    with pytest.raises(openai.RateLimitError) as refused:
        programs.post("/uploads", cast_to=object, options={"headers": {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}})
    assert refused.value.code == "too_many_uploads"
    assert int(refused.value.response.headers["Retry-After"]) > 0


def test_many_who_wait_hold_neither_threads_nor_connections(hub: Hub) -> None:
    recording = hub.recording("crowd")
    hub.cluster.pull(seconds="2")
    process = psutil.Process(hub.web.pid)
    before = process.num_threads()
    headers = {"Authorization": f"Bearer {hub.token('otto')}"}

    async def wait(client: httpx.AsyncClient, number: int) -> str:
        form = {"model": AUTO, "language": "en", "stream": "true" if number % 2 else "false"}
        files = {"file": ("crowd.flac", recording.path.read_bytes())}
        told = await client.post("/v1/audio/transcriptions", data=form, files=files)
        return told.text

    async def look(client: httpx.AsyncClient) -> tuple[int, float]:
        job = await asyncio.to_thread(until, lambda: Job.objects.filter(title="crowd.flac").first(), 20, "no job")
        await asyncio.to_thread(
            until, lambda: job.units.filter(state="leased", stage="transcribe").exists(), 20, "idle"
        )
        began = time.monotonic()
        assert (await client.get("/v1/models")).status_code == 200
        return process.num_threads(), time.monotonic() - began

    async def crowd() -> tuple[list[str], tuple[int, float]]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(
            base_url=hub.url, headers=headers, timeout=90, trust_env=False, limits=limits
        ) as client:
            waiting = asyncio.gather(*(wait(client, number) for number in range(40)))
            seen = await look(client)
            return await waiting, seen

    answers, (threads, seconds) = asyncio.run(crowd())
    assert [answer[:300] for answer in answers if recording.words[-1] not in answer] == []
    assert threads - before < 15, f"{threads - before} threads for 40 who wait"
    assert seconds < 15
    assert Job.objects.filter(title="crowd.flac").count() == 1
