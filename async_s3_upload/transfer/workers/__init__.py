"""The worker processes, and the ways to them."""
