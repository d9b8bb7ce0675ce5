"""What the web process learns of transcriptions: how they are shown, followed, sent and refused."""

from __future__ import annotations

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.refusals import refuse_as
from clustercore.access.domain.roles import Permission
from clustercore.blobs.domain.forms import take_files_at
from clustercore.jobs.domain.presentation import present
from clustercore.live.domain.topics import register_topic
from transcription.services.remarks import NothingToUndo
from transcription.services.submit import InvalidRequest
from transcription.views.presenting import PRESENTATION
from transcription.views.reading import HEARING
from transcription.views.remarks import refusal_of_nothing

TAKE_FILES = ("/api/v1/transcriptions", "/v1/audio/transcriptions", "/v1/audio/translations")


def register_pages() -> None:
    """Registers them; once, when the application is ready."""
    present(PRESENTATION)
    register_topic(HEARING)
    refuse_as(NothingToUndo, refusal_of_nothing)
    refuse_as(InvalidRequest, lambda error: RequestRefused(400, str(error), param=error.field, code="invalid"))
    for path in TAKE_FILES:
        take_files_at(path, Permission.SUBMIT)
