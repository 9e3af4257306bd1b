"""The private names of other libraries that lrstudy needs, each behind one function with a fallback."""
