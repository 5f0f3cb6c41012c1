"""The command line: parses, calls, writes; no statistics."""

from metail2.cli.app import main as main
