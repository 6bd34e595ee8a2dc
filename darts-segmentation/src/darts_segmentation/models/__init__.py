"""Model files: read as the untrusted files that they are, whatever release of whatever library wrote them."""
