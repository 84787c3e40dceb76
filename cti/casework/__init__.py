"""The rules of casework: tiers, complaints, follow-up calls, tasks, early warning. Pure: values in, values out."""
