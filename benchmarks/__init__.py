"""Benchmarks of the uploader: one module a subject, ``python -m benchmarks`` runs them."""
