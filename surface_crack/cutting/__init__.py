"""`surface-crack tiles`: large photos and where their cracks are, cut into labelled tiles."""
