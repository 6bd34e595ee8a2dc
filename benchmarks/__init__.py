"""Questions about speed and memory, one a file; `uv run python -m benchmarks.NAME --help` says what each needs."""
