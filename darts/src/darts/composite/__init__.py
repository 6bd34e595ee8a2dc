"""Cloud-free composites of a season, made of scenes and kept like one."""
