from django.apps import AppConfig


class TranscriptionConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"

    def ready(self) -> None:
        """The ledger learns of this kind of job here, and the nodes how its engines are tested."""
        from clustercore.access.domain.errors import RequestRefused
        from clustercore.access.domain.refusals import refuse_as
        from clustercore.access.domain.roles import Permission
        from clustercore.blobs.domain.forms import take_files_at
        from clustercore.jobs.domain.kinds import register
        from clustercore.jobs.domain.presentation import present
        from clustercore.nodes.domain.self_test import register_self_test
        from clustercore.telemetry.domain.topics import register_topic
        from transcription.adapters.bundled_clip import clip_request, judge_clip
        from transcription.services.remarks import NothingToUndo
        from transcription.services.submit import InvalidRequest
        from transcription.views.presenting import PRESENTATION
        from transcription.views.reading import HEARING
        from transcription.views.remarks import refusal_of_nothing
        from transcription.workflows import TRANSCRIPTION

        register(TRANSCRIPTION)
        present(PRESENTATION)
        register_topic(HEARING)
        refuse_as(NothingToUndo, refusal_of_nothing)
        register_self_test("stt", clip_request, judge_clip)
        refuse_as(InvalidRequest, lambda error: RequestRefused(400, str(error), param=error.field, code="invalid"))
        for path in ("/api/v1/transcriptions", "/v1/audio/transcriptions", "/v1/audio/translations"):
            take_files_at(path, Permission.SUBMIT)
