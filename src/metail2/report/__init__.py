"""The standard report: what is asked (TOML), what the records answer, and the page that says so."""
