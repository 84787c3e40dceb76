-- What callers said in flows: answers to surveys, and recordings.
CREATE INDEX facts_said ON cti.facts (at) WHERE kind IN ('SurveyAnswered', 'MessageRecorded');

CREATE VIEW report.survey_answers AS
SELECT call_id, at, body->>'flow' AS flow, body->>'step' AS step, body->>'question' AS question,
       (body->>'score')::int AS score
  FROM cti.facts
 WHERE kind = 'SurveyAnswered';

COMMENT ON VIEW report.survey_answers IS 'One row an answer to a question of a survey. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.survey_answers.call_id IS 'The call.';
COMMENT ON COLUMN report.survey_answers.at IS 'When.';
COMMENT ON COLUMN report.survey_answers.flow IS 'The flow.';
COMMENT ON COLUMN report.survey_answers.step IS 'The survey''s step.';
COMMENT ON COLUMN report.survey_answers.question IS 'The question''s name in the flow.';
COMMENT ON COLUMN report.survey_answers.score IS 'The key pressed.';

CREATE VIEW report.messages AS
SELECT call_id, at, body->>'flow' AS flow, body->>'step' AS step, body->>'kind' AS kind, body->>'path' AS path,
       (body->>'seconds')::double precision AS seconds
  FROM cti.facts
 WHERE kind = 'MessageRecorded';

COMMENT ON VIEW report.messages IS 'One row a recording that a step of a flow made. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.messages.call_id IS 'The call.';
COMMENT ON COLUMN report.messages.at IS 'When it was over.';
COMMENT ON COLUMN report.messages.flow IS 'The flow.';
COMMENT ON COLUMN report.messages.step IS 'The step.';
COMMENT ON COLUMN report.messages.kind IS 'message, or comment in a survey.';
COMMENT ON COLUMN report.messages.path IS 'The file, in the folder of recordings.';
COMMENT ON COLUMN report.messages.seconds IS 'How long it is.';
