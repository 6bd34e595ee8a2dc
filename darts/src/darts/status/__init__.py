"""What runs are at: done, failed and why, what is at work, and how long it will take."""
