"""How commands are typed: their names, panels of their help, and what is wrong with what was typed."""
