"""One bare process: an engine, a file, no cluster. It says when its model is loaded and when it is done.

python -m benchmarks.bare_engine ENGINE MODEL MODELS_DIRECTORY FILE WARM_UP_FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

from clustercore.config.environment import environment
from clustercore.nodes.adapters.plugins import load_plugin
from transcription.domain.engines import ENGINES


def main() -> None:
    """Reads a line on standard input between loading and running, so that loading is not timed."""
    name, model, directory, path, warm_up = sys.argv[1:6]
    kinds = map(load_plugin, environment().engines or ENGINES)
    engine = next(kind for kind in kinds if kind.name == name)()
    engine.load(model, Path(directory))
    request = {"path": path, "language": "en", "prompt": "", "words": True}
    engine.run({**request, "path": warm_up}, lambda *_: None)
    print("ready", flush=True)
    sys.stdin.readline()
    engine.run(request, lambda *_: None)
    print("done", flush=True)


if __name__ == "__main__":
    main()
