"""Which worker gets what, and what becomes of what it reports."""
