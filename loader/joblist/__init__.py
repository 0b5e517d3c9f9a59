"""The jobs of a server: listed, shown, forgotten, given an end, and cleaned up after."""
