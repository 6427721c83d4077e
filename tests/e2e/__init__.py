"""The real command, run as a subprocess against real servers: one file a scenario."""
