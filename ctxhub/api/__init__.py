"""HTTP: routes that only translate, one file for each noun."""
