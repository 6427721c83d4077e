"""``config check``: what a config means, and whether what it needs is there; a module for each thing it looks at."""
