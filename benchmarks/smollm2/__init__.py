"""SmolLM2-135M-Instruct, pruned in depth and recovered on people's or its own responses."""
