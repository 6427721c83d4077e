"""The lean data path."""
