"""Faults and kills under the real command: whatever happens, restarting it ends with every byte in S3."""
