"""What may be built: search spaces, their parameters and the recipes that train an arm."""
