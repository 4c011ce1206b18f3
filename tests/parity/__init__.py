"""Numerical equality with the official networks and utilities, golden by golden."""
