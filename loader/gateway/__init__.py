"""The HTTP gateway (``runqy-loader serve``): runqy's enqueueing API over the loader's own layouts and wire code."""
