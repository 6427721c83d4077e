"""The made-up instruments."""
