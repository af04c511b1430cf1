"""Widgets of the console: each draws few cells, and only those that changed."""
