"""The loop of training: network, losses, epochs, what is kept."""
