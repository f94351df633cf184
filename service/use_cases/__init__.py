"""What can be done: one file, one deed, within one transaction."""
