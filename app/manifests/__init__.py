"""Signed accounts of jobs that can be checked without this service."""
