"""Pages about recordings: asking for a transcription, reading it, hearing it, correcting it, taking it away."""
