"""Pure functions over files and pixels: formats, hashing, decoding, metadata, thumbnails. No Kafka, no HTTP."""
