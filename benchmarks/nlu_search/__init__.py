"""Quasi-random search, the published SAASBO and `auto` on networks that are really trained.

The whole search space `nlu_encoder` (30 parameters, three that are there only with others), frame
error against latency, 50 trials of each search. Every network is trained on half of the recipe's
commands, with one seed for all, and timed once by the measuring protocol in some seconds; each is
kept by its arm, so that no arm is trained twice and any search may be repeated at no cost.
`saasbo` is the paper's: the SAAS prior by NUTS, qLogNEHVI, both of Ax; it takes most of the time.

Bars: the hypervolume of `auto` after 50 trials is at least 1.10 times the quasi-random one's
(median over the seeds), and its front dominates the hand-tuned baseline (no worse in both figures).
"""
