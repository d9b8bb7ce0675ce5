from django.apps import AppConfig, apps
from django.conf import settings

PAGES = "clustercore.live"
"""Installed where pages are served, and nowhere else."""


class TranscriptionConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"

    def ready(self) -> None:
        """The ledger learns of this kind of job here, the nodes how its engines are tested, and the pages what to show.

        What a process does not do is not imported.
        """
        from clustercore.jobs.domain.kinds import outline
        from transcription.domain.stages import OUTLINE

        outline(OUTLINE)
        if settings.ONLY_READS:
            return
        from clustercore.jobs.workflows import open_kind
        from clustercore.nodes.domain.self_test import register_self_test
        from clustercore.nodes.domain.tiers import register_engines, register_order
        from transcription.adapters.bundled_clip import clip_request, judge_clip
        from transcription.domain.engines import ENGINES, ORDER
        from transcription.workflows import TRANSCRIPTION

        open_kind(TRANSCRIPTION)
        register_self_test("stt", clip_request, judge_clip)
        register_engines(ENGINES)
        for capability in ("stt", "translate"):
            register_order(capability, ORDER)
        if apps.is_installed(PAGES):
            from transcription.views.registration import register_pages

            register_pages()
