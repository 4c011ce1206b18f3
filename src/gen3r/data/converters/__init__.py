"""One file per dataset: where its files are and what its numbers mean. Nothing is written here."""
