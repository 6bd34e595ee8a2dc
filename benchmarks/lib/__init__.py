"""What all cases share: how they run and are measured, baselines, made-up data, the limits of the machine."""
