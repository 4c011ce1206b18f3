"""What is optimised: one file per objective, all with the interface of ``base.Objective``."""
