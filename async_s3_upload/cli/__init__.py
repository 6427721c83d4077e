"""The command line: one module a command; wires the other rooms together."""
