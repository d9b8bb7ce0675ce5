"""The stages of a transcription, for whoever looks at one without being able to do it."""

from __future__ import annotations

from clustercore.jobs.domain.kinds import KindOutline, Remedies

KIND = "transcription"
NOUN = "Transcription"
OUTLINE = KindOutline(
    name=KIND,
    stages=("cut", "detect", "transcribe", "merge"),
    main_stage="transcribe",
    main_capability="stt",
    main_ranked=True,
    amount_unit="s of sound",
    unit_noun="piece",
    unit_labels="transcription.selectors:spans_of",
    result_command="clustercore export",
    remedies=Remedies(
        model="`clustercore models pull faster-whisper:small` on one that has faster-whisper "
        "(pip install 'clustercore[faster-whisper]')",
        lower="submit with `--quality any`",
    ),
)
