"""Pictures: their originals, previews, thumbnails, and the search for them."""
