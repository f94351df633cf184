"""The ordinary loop over a recipe, with its seeds and the weights it leaves."""
