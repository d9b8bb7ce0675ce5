"""Media by content hash: stored once at the hub, fetched by signed URL, cached where it is used."""
