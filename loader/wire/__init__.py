"""The Redis protocol: building command bytes, connections, and what error replies mean."""
