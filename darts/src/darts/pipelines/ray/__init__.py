"""The pipelines on a Ray cluster."""
