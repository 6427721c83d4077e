"""Bytes that nobody would write, for the parsers of files that instruments write: ``python -m tests.fuzz``."""
