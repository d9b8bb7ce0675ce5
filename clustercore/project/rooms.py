"""Which rooms there are: the one list of them, for Django and for the command line. It imports nothing."""

ROOMS = (
    "clustercore.access",
    "clustercore.blobs",
    "clustercore.nodes",
    "clustercore.jobs",
    "transcription",
)
"""Django applications that every process of ours has, lower ones first. Each may have a package `commands`."""
