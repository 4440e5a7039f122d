"""The ops for numpy arrays, in C++ behind a plain C ABI; needs no torch."""
