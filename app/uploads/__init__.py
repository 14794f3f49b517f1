"""Files on their way in: one shot or resumable, hashed as they arrive, on disk before they are acknowledged."""
