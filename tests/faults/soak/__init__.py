"""A whole cluster for ten minutes under faults that follow each other by a seed: `make soak`."""
