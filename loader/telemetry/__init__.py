"""What a run tells other systems while it works: metrics for Prometheus, metrics and traces for OpenTelemetry."""
