"""Dense training, a mask, retraining: 2:4 and other sparsity on three kinds of network."""
