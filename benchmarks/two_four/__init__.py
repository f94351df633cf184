"""Does 2:4 with retraining cost accuracy, and does it gain time: on three networks, CPU and GPU."""
