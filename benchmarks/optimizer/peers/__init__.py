"""The optimizers under comparison, ours and others', behind one ask and tell."""
