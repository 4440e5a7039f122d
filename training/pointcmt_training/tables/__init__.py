"""The paper's tables: each is data (`paper/*.yaml`), a grid of recipes that one command trains."""
