"""Applications that only a process with pages installs."""

from __future__ import annotations

from django.contrib.admin import apps as administration


class AdministrationConfig(administration.AdminConfig):
    """Django's admin on a site of ours."""

    default = False
    default_site = "clustercore.project.admin.AdministratorsSite"
