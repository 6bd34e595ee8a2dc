"""The map of a publication: a page that works from disk and from any server, and the data that it reads."""
