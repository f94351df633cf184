"""Tokens per second of a language model that has lost decoder blocks, exported and run for real.

The model has the shape of SmolLM2-135M (30 blocks, 49,152 words) and weights drawn at random, for
its speed does not depend on them. What is exported is one step of decoding (`decoding_step`), which
is timed at the 128th of 256 places of the cache, on one thread, in pairs with the step of the
unpruned model in the same runtime. Each seed is a process of its own; the exports are the same.

Without n of 30 blocks tokens per second rise to 30 / (30 - n) of the unpruned model's if nothing
but blocks costs time; the head, a fifth of the weights, does not become shorter. Bar: within 10 %.

Rows in int8 (weights, with the ranges of activations taken anew on every token) are timed against
the unpruned model in fp32 as well; of them nothing is expected.
"""
