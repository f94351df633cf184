"""What a worker adds to each training, beside importing the recipe."""
