"""Google Cloud Storage and Azure, by servers with their APIs: ``make test-clouds``."""
