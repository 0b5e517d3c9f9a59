"""The Redis protocol: command bytes, connections, and the meaning of error replies."""
