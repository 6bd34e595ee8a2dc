"""What is done with model files beside mapping: looked at, packed, checked, converted, exported."""
