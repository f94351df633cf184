"""Whether self-distilled responses recover a pruned language model better than given ones."""
