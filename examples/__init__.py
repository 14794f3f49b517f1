"""Programs that use the service as a user would: `make demo` runs one of them."""
