"""WHAT to upload: find run folders, decide completeness, read sample sheets, list files."""
