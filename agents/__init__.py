"""Goal to actions: think, act, observe. Not built yet."""
