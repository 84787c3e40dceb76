-- Callers who go back to the same agent: the customer's own, or whoever talked with that number last.

ALTER TABLE crm.customers ADD COLUMN own_agent text NOT NULL DEFAULT '';
COMMENT ON COLUMN crm.customers.own_agent IS 'Extension of the agent who looks after this customer; empty: nobody in particular.';

CREATE INDEX calls_number_agent ON cti.calls (caller_number, started_at DESC) WHERE agent IS NOT NULL AND caller_number IS NOT NULL;
