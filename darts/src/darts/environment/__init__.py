"""This machine: what a run would use of it, and what would be slow or fail."""
