"""Our strategies and their peers on the same problems: hypervolume and CPU time per trial."""
