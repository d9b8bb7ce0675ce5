"""What every request passes, outermost first: errors, headers, hosts, then Django's own, then limits."""
