"""uvicorn, strict about framing, with limits on time, and a stop that loses nothing."""
