-- The audit log only grows: beside changing and deleting a line (0009), emptying the table is refused as well.
CREATE TRIGGER keep_acts_whole BEFORE TRUNCATE ON cti.facts
    FOR EACH STATEMENT EXECUTE FUNCTION cti.keep_acts();

COMMENT ON TRIGGER keep_acts_whole ON cti.facts IS 'Refuses to empty the table, and the audit log with it.';
