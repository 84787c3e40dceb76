"""Figures of the past: what there is, figures, the calls behind them, how durations spread, how far callers went in flows."""
