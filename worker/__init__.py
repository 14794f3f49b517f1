"""The worker: claims a job, runs the engine as a child, writes the outcome. Never loads torch, opens no user's file."""
