from django.apps import AppConfig


class BlobsConfig(AppConfig):
    name = "clustercore.blobs"
    label = "blobs"
    verbose_name = "Blobs"
