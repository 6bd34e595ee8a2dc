"""Values brought from one grid to another."""
