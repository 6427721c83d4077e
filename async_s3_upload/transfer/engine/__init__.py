"""What one worker does: files are read, sent and compared."""
