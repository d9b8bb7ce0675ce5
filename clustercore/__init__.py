"""The kernel: what every kind of work needs. A job is cut into units that any able node may take."""

__version__ = "0.1.0"
