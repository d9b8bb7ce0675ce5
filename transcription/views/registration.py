"""What the web process learns of transcriptions: how they are shown, followed and sent."""

from __future__ import annotations

from clustercore.access.domain.roles import Permission
from clustercore.blobs.domain.forms import take_files_at
from clustercore.jobs.services.showing import open_pages
from clustercore.live.domain.topics import register_topic
from transcription.views.presenting import PRESENTATION
from transcription.views.reading import HEARING

TAKE_FILES = ("/api/v1/transcriptions", "/v1/audio/transcriptions", "/v1/audio/translations")


def register_pages() -> None:
    """Registers them; once, when the application is ready."""
    open_pages(PRESENTATION)
    register_topic(HEARING)
    for path in TAKE_FILES:
        take_files_at(path, Permission.SUBMIT)
