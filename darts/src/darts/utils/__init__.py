"""Around the pipelines: configuration, logging, console, environment, benchmarks."""
