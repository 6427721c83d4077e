"""``status``: what became of all known runs, from run logs and journals alone."""
