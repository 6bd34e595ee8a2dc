"""A catalogue to publish: mosaics, metadata that others read, checksums, and a check of it all."""
