"""The machine: files, disk, devices, threads, random generators and signals."""
