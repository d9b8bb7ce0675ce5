"""What of blobs knows HTTP: the file that came with a request, and the upload protocol as the API's schema tells it."""
