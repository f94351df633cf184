"""Linear layers whose zeros come in blocks, computed without the zeros; the rest in OpenVINO."""
