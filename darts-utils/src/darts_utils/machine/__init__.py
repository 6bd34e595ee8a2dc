"""The machine that this process runs on: its cores, memory, disks and devices."""
