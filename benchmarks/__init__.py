"""Speed and memory: `uv run python -m benchmarks` runs all cases (`cases/`, one a file) and prints one table of ratios.

Some stand alone, because they need much disk or time, or print no ratios: `benchmarks.mapping`, `benchmarks.machines`,
`benchmarks.planet_orthotile`, `benchmarks.training_patches`, `benchmarks.fetching`, `benchmarks.processes`.
"""
