"""Names of torch and Ray that are not public, each behind a function that says what it is needed for."""
