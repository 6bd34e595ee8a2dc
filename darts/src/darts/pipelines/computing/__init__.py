"""What computes a run: what it can do, the memory that there is, and what is settled by that."""
