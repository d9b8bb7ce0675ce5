"""Writing to the ledger. Nothing here sends a task: new units are rung for by their kind, after the commit."""
