"""Errors caught at the door: checks of tables and trial records, each with a code, a severity and a help text."""
