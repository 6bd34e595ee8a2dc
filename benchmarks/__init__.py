"""Questions of speed and memory, one runnable file each."""
