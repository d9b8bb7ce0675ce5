from django.apps import AppConfig


class TranscriptionConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"

    def ready(self) -> None:
        """The ledger learns of this kind of job here, once models may be imported."""
        from clustercore.jobs.domain.kinds import register
        from transcription.workflows import TRANSCRIPTION

        register(TRANSCRIPTION)
