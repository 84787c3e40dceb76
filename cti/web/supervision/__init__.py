"""What supervisors do: with calls, agents and queues; and the audit log of it."""
