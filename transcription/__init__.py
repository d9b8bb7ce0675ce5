"""Media to text: probe, cut, transcribe, merge."""
