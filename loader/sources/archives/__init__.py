"""Archives: files that hold files. Nothing in them is written anywhere."""
