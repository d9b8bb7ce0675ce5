"""Where: what machines there are, what they can do, how they feel, and the engine runners that work on them."""
