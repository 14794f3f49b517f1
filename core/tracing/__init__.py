"""Traces, told to an OpenTelemetry collector where the settings name one; without one nothing is made and sent.

Work that waits in a row takes its trace along in the row (`carried`), never in the broker's message.
"""
