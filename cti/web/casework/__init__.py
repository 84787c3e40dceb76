"""Tiers, complaints, follow-up calls, tasks, early warning, and the page on which customers ask for something."""
