"""Thousands of generated requests against a running service, each answer held against the OpenAPI document."""
