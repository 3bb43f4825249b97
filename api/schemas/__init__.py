"""Bodies of requests and answers; the names are those of the public contract."""
