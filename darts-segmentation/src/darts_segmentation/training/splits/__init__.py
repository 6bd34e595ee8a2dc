"""Which patches are for what."""
