from django.apps import AppConfig


class TranscriptionConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"

    def ready(self) -> None:
        """The ledger learns of this kind of job here, and the nodes how its engines are tested."""
        from clustercore.jobs.domain.kinds import register
        from clustercore.nodes.domain.self_test import register_self_test
        from transcription.adapters.bundled_clip import clip_request, judge_clip
        from transcription.workflows import TRANSCRIPTION

        register(TRANSCRIPTION)
        register_self_test("stt", clip_request, judge_clip)
