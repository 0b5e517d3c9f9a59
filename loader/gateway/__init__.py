"""The HTTP gateway (``runqy-loader serve``): runqy's API for enqueueing, on the loader's own layouts and wire code."""
