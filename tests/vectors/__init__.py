"""Our own wire vectors: the generator, the cast it works with, and what it wrote (wire/)."""
