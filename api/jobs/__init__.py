"""A job as the API makes and keeps it: submitted, published, closed, started again, forgotten, told of."""
