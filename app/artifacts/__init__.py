"""Files that jobs delivered, on their way out."""
