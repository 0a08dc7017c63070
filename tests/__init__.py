"""The tests; every folder is a package, so that files in two folders may have one name."""
