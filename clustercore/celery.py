"""Lets `celery -A clustercore …` find the application."""

from clustercore.project.celery import app

__all__ = ["app"]
