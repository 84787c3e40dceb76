-- Not ready beyond what is allowed, and what quality asks of agents' parts in calls.

ALTER TABLE cti.agent_times ADD COLUMN over_ms integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN cti.agent_times.over_ms IS 'How much of it was beyond what the agent may be not ready a day for the reason.';

CREATE TABLE cti.reason_rules (
    reason  text        NOT NULL,
    since   timestamptz NOT NULL,
    seconds double precision,
    PRIMARY KEY (reason, since)
);
COMMENT ON TABLE cti.reason_rules IS 'How long a day an agent might be not ready for a reason, and since when: a change of the centre changes no figure of the past.';
COMMENT ON COLUMN cti.reason_rules.reason IS 'The reason.';
COMMENT ON COLUMN cti.reason_rules.since IS 'For days that begin from then on. Before the first row the first one holds.';
COMMENT ON COLUMN cti.reason_rules.seconds IS 'So long a day. NULL: as long as one likes.';

CREATE OR REPLACE VIEW report.agent_times AS
SELECT slot AS half_hour,
       agent,
       state,
       nullif(reason, '') AS reason,
       ms / 1000.0::double precision AS seconds,
       over_ms / 1000.0::double precision AS over_seconds
  FROM cti.agent_times;
COMMENT ON COLUMN report.agent_times.over_seconds IS 'How much of it was beyond what the centre allows the agent a day for the reason.';

CREATE INDEX counted_talks_agent ON cti.counted_talks (agent, at);
COMMENT ON COLUMN cti.counted_answers.satisfied IS '1: a rating in the upper quarter of the question''s scale.';
COMMENT ON COLUMN cti.counted_answers.nps_net IS '1: the highest key of the scale; -1: a detractor; else 0.';

ALTER TABLE cti.report_state ADD COLUMN recount_done bigint;
ALTER TABLE cti.report_state ADD COLUMN recount_of bigint;
ALTER TABLE cti.report_state ADD COLUMN recount_version integer;
ALTER TABLE cti.report_state ADD COLUMN recount_call text;
ALTER TABLE cti.report_state ADD COLUMN recount_agent text;
COMMENT ON COLUMN cti.report_state.definition_version IS 'Version of the definitions of cti.reports.metrics. 0: not everything is counted.';
COMMENT ON COLUMN cti.report_state.recount_done IS 'Calls counted anew so far. NULL: nothing is being counted anew.';
COMMENT ON COLUMN cti.report_state.recount_of IS 'Of how many.';
COMMENT ON COLUMN cti.report_state.recount_version IS 'Version of the definitions that they are counted anew by.';
COMMENT ON COLUMN cti.report_state.recount_call IS 'The last call that was counted anew: after a restart it goes on from there.';
COMMENT ON COLUMN cti.report_state.recount_agent IS 'The last agent whose time was counted anew, likewise.';
