"""How a command speaks: what it is called, where its words go, how it ends, and what the program gives it."""
