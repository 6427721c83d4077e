"""What a command shows while it works: a live view, plain lines, a stream of events."""
