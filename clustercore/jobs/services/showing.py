"""How a kind's pages are opened where pages are served."""

from __future__ import annotations

from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from clustercore.config.adapters.plugins import load
from clustercore.jobs.domain.presentation import Presentation, present


def open_pages(presentation: Presentation) -> None:
    """Makes a kind's presentation known, once all that it names is there. Raises ValueError that names what is not."""
    try:
        load(presentation.serializer)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"the serializer of {presentation.kind!r} is not there: {error}") from error
    try:
        get_template(presentation.fragment)
    except TemplateDoesNotExist as error:
        raise ValueError(f"the fragment of {presentation.kind!r} is not there: {error}") from error
    present(presentation)
