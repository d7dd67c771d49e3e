"""surface-crack: a crack classifier for photos of surfaces, as a reproducible DVC pipeline."""
