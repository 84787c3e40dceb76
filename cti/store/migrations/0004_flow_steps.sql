-- Steps of flows by time: what "where do callers give up" asks for.
CREATE INDEX facts_flow_steps ON cti.facts ((body->>'flow'), at) WHERE kind = 'FlowStepDone';

CREATE VIEW report.flow_steps AS
SELECT call_id, at, body->>'flow' AS flow, body->>'step' AS step, body->>'verb' AS verb, body->>'result' AS result,
       body->>'next_step' AS next_step, (body->>'seconds')::double precision AS seconds, body->>'choice' AS choice
  FROM cti.facts
 WHERE kind = 'FlowStepDone';

COMMENT ON VIEW report.flow_steps IS 'One row a step of a flow that a caller finished, or left the flow in (result = gone). The keys pressed are in no row. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.flow_steps.call_id IS 'The call.';
COMMENT ON COLUMN report.flow_steps.at IS 'When the step was over.';
COMMENT ON COLUMN report.flow_steps.flow IS 'The flow.';
COMMENT ON COLUMN report.flow_steps.step IS 'The step.';
COMMENT ON COLUMN report.flow_steps.verb IS 'What kind of step: menu, collect, ...';
COMMENT ON COLUMN report.flow_steps.result IS 'The exit it was left by; gone: the caller hung up, or was taken elsewhere, in it.';
COMMENT ON COLUMN report.flow_steps.next_step IS 'Where the call went. NULL: the flow ended.';
COMMENT ON COLUMN report.flow_steps.seconds IS 'How long the step took.';
COMMENT ON COLUMN report.flow_steps.choice IS 'The label of a menu''s choice; empty for other steps.';
