"""Figures as folds over facts. Pure; may import the model."""
