#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line

from clustercore.project.web import take_signing_key

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")
    take_signing_key()
    execute_from_command_line(sys.argv)
