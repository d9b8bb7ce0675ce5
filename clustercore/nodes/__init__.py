"""Where: what machines there are, what they can do, how they feel, and the engine hosts that work on them."""
