"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from transcription.api import remarks
from transcription.api.catalogue import model_list, one_model
from transcription.api.creating import Transcriptions
from transcription.api.openai import transcribe, translate
from transcription.api.transcripts import TranscriptText
from transcription.views.downloads import download
from transcription.views.reading import piece, read, try_again
from transcription.views.remarks import correction, rename, speaker
from transcription.views.sound import audio
from transcription.views.submitting import new

app_name = "transcription"

_API = "api/v1/transcriptions/<int:job_id>"
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/transcriptions", Transcriptions.as_view(), name="api-create"),
    path("api/v1/transcriptions/<int:job_id>/transcript", TranscriptText.as_view(), name="api-transcript"),
    path("v1/audio/transcriptions", transcribe, name="openai-transcriptions"),
    path("v1/audio/translations", translate, name="openai-translations"),
    path("v1/models", model_list, name="openai-models"),
    path("v1/models/<path:name>", one_model, name="openai-model"),
    path(f"{_API}/segments", remarks.Segments.as_view(), name="api-segments"),
    path(f"{_API}/corrections", remarks.Corrections.as_view(), name="api-corrections"),
    path(f"{_API}/corrections/<int:correction_id>", remarks.OneCorrection.as_view(), name="api-correction"),
    path(f"{_API}/speakers", remarks.Speakers.as_view(), name="api-speakers"),
    path(f"{_API}/speakers/<str:label>", remarks.OneSpeaker.as_view(), name="api-speaker"),
    path(f"{_API}/turns/<int:turn_id>", remarks.OneTurn.as_view(), name="api-turn"),
    path("transcribe/", new, name="new"),
    path("transcripts/<int:job_id>/", read, name="read"),
    path("transcripts/<int:job_id>/audio", audio, name="audio"),
    path("transcripts/<int:job_id>/download/<str:format_name>", download, name="download"),
    path("transcripts/<int:job_id>/again", try_again, name="try-again"),
    path("transcripts/<int:job_id>/pieces/<int:ordinal>", piece, name="piece"),
    path("transcripts/<int:job_id>/segments/<int:segment_id>/correction", correction, name="correction"),
    path("transcripts/<int:job_id>/segments/<int:segment_id>/speaker", speaker, name="speaker"),
    path("transcripts/<int:job_id>/segments/<int:segment_id>/rename", rename, name="rename"),
]
