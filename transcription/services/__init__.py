"""Writing: submitting recordings, the stages' handlers, and what their results leave in the ledger."""
