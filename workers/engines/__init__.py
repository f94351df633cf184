"""Where a worker's stages run: on its own machine, on a Ray cluster, under Slurm; one contract."""
