"""Transcriptions for programs: the REST API of this cluster, and the one that OpenAI's clients speak."""
