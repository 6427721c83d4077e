"""WHO IS TOLD: Slack, and Prometheus by a file."""
