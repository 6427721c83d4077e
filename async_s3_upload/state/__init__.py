"""WHAT IS REMEMBERED: the JSON run log and the lock."""
