"""What of access knows HTTP: who a request comes from, and how an error of a service reads as an answer."""
