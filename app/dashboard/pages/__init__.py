"""One page a file; the table that lists them is `app.dashboard.PAGES`."""
