"""What every request passes, outermost first: headers, errors, hosts, then Django's own, then limits."""
