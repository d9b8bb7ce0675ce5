"""What: jobs, units, attempts. The ledger that alone says what work exists, who holds it and what came of it."""
