"""Question to answer: decompose, route, vote, synthesize. Not built yet."""
