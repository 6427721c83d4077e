"""What the tests stand on: real S3 servers, a fault proxy, a Slack listener, the command run for real."""
