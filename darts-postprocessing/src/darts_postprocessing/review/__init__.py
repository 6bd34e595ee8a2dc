"""What people say about slumps: which of them are looked at, in which order, and what follows from the verdicts."""
