"""The ablation set: variants of a preset trained on equal terms, measured on the same clips, held against claims."""
