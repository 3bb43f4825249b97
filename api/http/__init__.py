"""What every request passes and every answer has: errors, parameters, conditional requests, the page."""
