"""One case a file: what is measured, next to what, and what is hoped for."""
