"""Surfaces for programs: what they call is a verb of hive's, as on the command line."""
