"""What an experiment is: pure values and rules, without HTTP, database or clock."""
