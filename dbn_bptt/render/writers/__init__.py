"""A scene in one file format each."""
