"""What one web process remembers between requests; all of it can be lost and made anew."""
