"""The composition root: settings, URLs, the Celery application and the command line. It alone knows all rooms."""
