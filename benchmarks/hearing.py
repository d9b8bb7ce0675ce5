"""One bare process that hears files with one engine, and says as JSON what it heard, how fast, with how much memory.

python -m benchmarks.hearing ENGINE MODEL MODELS_DIRECTORY FILE…
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from clustercore.config.environment import environment
from clustercore.nodes.adapters.plugins import load_plugin
from transcription.domain.engines import ENGINES


def main() -> None:
    """Loads, hears the first file once to be warm, then each of them on the clock."""
    name, model, directory, *paths = sys.argv[1:]
    kinds = map(load_plugin, environment().engines or ENGINES)
    engine = next(kind for kind in kinds if kind.name == name)()
    engine.load(model, Path(directory))
    requests = [{"path": path, "language": "en", "prompt": "", "words": True} for path in paths]
    engine.run(requests[0], lambda *_: None)
    began, used = time.monotonic(), time.process_time()
    heard = [engine.run(request, lambda *_: None) for request in requests]
    document = {
        "texts": [" ".join(segment["text"] for segment in one["segments"]) for one in heard],
        "wall_seconds": time.monotonic() - began,
        "processor_seconds": time.process_time() - used,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
