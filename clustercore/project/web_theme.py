"""What the admin is called and what its sidebar offers."""

from __future__ import annotations

from typing import Any

from django.urls import reverse_lazy

from clustercore.config.adapters.plugins import load

STATIC = "django.templatetags.static:static"
"""Asked for when a page is made: it loads Django's templates, and processes without pages read these settings too."""

_LIGHTNESS = {50: 97.5, 100: 94, 200: 88, 300: 80, 400: 71, 500: 63, 600: 45, 700: 38, 800: 32, 900: 27, 950: 20}
_TEAL = {
    str(step): f"oklch({lightness}% {0.02 if step < 200 else 0.075} 217)" for step, lightness in _LIGHTNESS.items()
}
"""The colour of our own pages, in the steps that the theme asks for."""


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    """One entry of the sidebar; `model` as `application_model`, `icon` from Material Symbols."""
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{model}_changelist")}


def _group(title: str, *pages: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(pages)}


ADMIN_THEME: dict[str, Any] = {
    "SITE_TITLE": "clustercore",
    "SITE_HEADER": "clustercore",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: load(STATIC)("clustercore/mark.svg")},
    ],
    "COLORS": {"primary": _TEAL},
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            _group(
                "Work",
                _page("Jobs", "work", "jobs_job"),
                _page("Units", "grid_view", "jobs_unit"),
                _page("Attempts", "replay", "jobs_attempt"),
                _page("Events", "history", "jobs_jobevent"),
                _page("Counters", "numbers", "jobs_counter"),
                _page("Jobs by state", "donut_small", "jobs_jobcount"),
                _page("Work done", "bar_chart", "jobs_workdone"),
            ),
            _group(
                "Machines",
                _page("Nodes", "dns", "nodes_node"),
                _page("Models", "inventory_2", "nodes_nodemodel"),
            ),
            _group(
                "Transcription",
                _page("Recordings", "graphic_eq", "transcription_recording"),
                _page("Transcripts", "article", "transcription_transcript"),
                _page("Segments", "notes", "transcription_segment"),
                _page("Corrections", "edit_note", "transcription_correction"),
                _page("Speakers", "record_voice_over", "transcription_speaker"),
                _page("Speaker turns", "forum", "transcription_speakerturn"),
            ),
            _group(
                "Storage",
                _page("Blobs", "database", "blobs_blob"),
                _page("Uploads", "upload", "blobs_upload"),
                _page("Hub", "hub", "blobs_hub"),
            ),
            _group(
                "People",
                _page("People", "person", "auth_user"),
                _page("Tokens", "key", "access_apitoken"),
                _page("Audit log", "receipt_long", "access_auditentry"),
            ),
        ],
    },
}
