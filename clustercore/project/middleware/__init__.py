"""What Django itself does not do with a request that failed; what is decided before Django is in `project/gate`."""
