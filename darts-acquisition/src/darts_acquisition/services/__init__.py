"""Services on the network: endpoints, credentials, limits and retries."""
