"""Pictures of tiles, for a quick look."""
