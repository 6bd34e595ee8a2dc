"""What a network makes of patches: predictions, scores, calibration."""
