"""Speech-to-text engines, each a plug-in named in `CLUSTERCORE_ENGINES`."""
