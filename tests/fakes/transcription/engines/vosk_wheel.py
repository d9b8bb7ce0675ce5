"""The part of the `vosk` wheel that the engine uses, with an ear of its own: every loud block is a word.

There is no Vosk model that a test could carry; the real wheel is held to its word where a model is missing or broken.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

RATE = 16_000


def SetLogLevel(level: int) -> None:  # noqa: N802
    """As quiet as it is."""


class Model:
    def __init__(self, model_path: str) -> None:
        self.model_path = model_path


class KaldiRecognizer:
    """Ends an utterance at the first silent block after a loud one."""

    def __init__(self, model: Model, rate: float) -> None:
        assert rate == RATE
        self._heard: list[dict[str, Any]] = []
        self._position = 0.0

    def SetWords(self, enabled: bool) -> None:  # noqa: N802
        assert enabled

    def AcceptWaveform(self, data: bytes) -> bool:  # noqa: N802
        samples = np.frombuffer(data, dtype=np.int16)
        start, self._position = self._position, self._position + len(samples) / RATE
        if np.abs(samples).max(initial=0) > 1_000:
            word = {"word": f"w{start:.2f}", "start": start, "end": self._position, "conf": 0.98765}
            self._heard.append(word)
            return False
        return bool(self._heard)

    def Result(self) -> str:  # noqa: N802
        heard, self._heard = self._heard, []
        text = " ".join(word["word"] for word in heard)
        return json.dumps({"text": text, "result": heard} if heard else {"text": ""})

    def FinalResult(self) -> str:  # noqa: N802
        return self.Result()
