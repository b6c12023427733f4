"""The machine: files, disk, devices, threads, randomness and signals."""
