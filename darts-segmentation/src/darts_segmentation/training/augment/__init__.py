"""What can be done to training patches, by kind; `darts_segmentation.training.augmentations` knows them by name."""
