"""The networks: tensors in, tensors out. No files, prompts or downloads."""
