"""Fetching what runs need: the plan, the downloads, the preparation of offline runs, and how they are shown."""
