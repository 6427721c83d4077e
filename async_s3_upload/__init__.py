"""Gets sequencing runs into S3: safely, fast, and without being watched."""

__version__ = "0.1.0"
