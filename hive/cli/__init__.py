"""The command line: it translates words into verbs, and answers into text."""
