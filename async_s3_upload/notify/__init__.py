"""WHO IS TOLD: Slack."""
