"""Log files and messages: how they begin, how they are written for programs, and which old files are removed."""
