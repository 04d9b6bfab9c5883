"""Plugins for cdds: a folder of CSV files as a source, and a file of SQLite as a sink.

Nothing is loaded here: each entry point names the module that it needs.
"""
