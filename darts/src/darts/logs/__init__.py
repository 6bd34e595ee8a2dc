"""Log files: how they begin, how lines are written for programs, and which old ones are removed."""
