"""Python peers. All programs of ``benchmarks.peers`` take the same arguments; see ``arguments``."""
