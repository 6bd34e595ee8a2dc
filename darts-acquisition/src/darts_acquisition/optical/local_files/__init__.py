"""Images in folders on the user's disk, such as those of PlanetScope."""
