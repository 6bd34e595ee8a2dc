"""What can be done to training patches, by kind; `augmentations` knows them by name."""
