"""Frameworks that carry calls: each turns its own calls into `services.Call`."""
