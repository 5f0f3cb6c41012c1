"""Trial records and data sets: what is shipped, reading, the schema, harmonising and the audit trail."""
