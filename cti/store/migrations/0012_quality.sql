-- Quality: forms, samples, scores, coaching and what agents answer.

CREATE SCHEMA quality;
COMMENT ON SCHEMA quality IS 'Inspection of talks: forms, samples, scores, calibration, coaching. See docs/quality.md.';

--- Forms ---------------------------------------------------------------------------------------------------------------

CREATE TABLE quality.forms (
    form_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision     integer     NOT NULL DEFAULT 1,
    version      integer     NOT NULL DEFAULT 1,
    archived_at  timestamptz,
    made_at      timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL
);
COMMENT ON TABLE quality.forms IS 'Inspection forms. What a form asks is in its versions.';
COMMENT ON COLUMN quality.forms.form_id IS 'The form.';
COMMENT ON COLUMN quality.forms.revision IS 'Rises with every change, archiving included; a change names the one it was made from.';
COMMENT ON COLUMN quality.forms.version IS 'The version that new scores use.';
COMMENT ON COLUMN quality.forms.archived_at IS 'When it was put aside. NULL: in use.';
COMMENT ON COLUMN quality.forms.made_at IS 'When it was made.';
COMMENT ON COLUMN quality.forms.changed_at IS 'When it was last changed.';

CREATE TABLE quality.form_versions (
    form_id   bigint      NOT NULL REFERENCES quality.forms,
    version   integer     NOT NULL,
    body      jsonb       NOT NULL,
    author    text        NOT NULL,
    note      text        NOT NULL DEFAULT '',
    at        timestamptz NOT NULL,
    used_at   timestamptz,
    PRIMARY KEY (form_id, version)
);
COMMENT ON TABLE quality.form_versions IS 'What forms ask. A version that was used is never changed: a trigger refuses.';
COMMENT ON COLUMN quality.form_versions.form_id IS 'The form.';
COMMENT ON COLUMN quality.form_versions.version IS 'From 1.';
COMMENT ON COLUMN quality.form_versions.body IS 'Sections and items, see docs/quality.md.';
COMMENT ON COLUMN quality.form_versions.author IS 'Who wrote it.';
COMMENT ON COLUMN quality.form_versions.note IS 'What was changed and why, by the author.';
COMMENT ON COLUMN quality.form_versions.at IS 'When it was written.';
COMMENT ON COLUMN quality.form_versions.used_at IS 'When it was first scored with. NULL: it can still be changed.';

CREATE FUNCTION quality.keep_used_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used_at IS NOT NULL AND (TG_OP = 'DELETE' OR NEW.body <> OLD.body OR NEW.used_at IS DISTINCT FROM OLD.used_at
                                    OR NEW.version <> OLD.version OR NEW.form_id <> OLD.form_id) THEN
        RAISE EXCEPTION 'version % of form % was used and is not changed any more', OLD.version, OLD.form_id;
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION quality.keep_used_version() IS 'Refuses changes of versions that were scored with.';
CREATE TRIGGER keep_used_version BEFORE UPDATE OR DELETE ON quality.form_versions
    FOR EACH ROW EXECUTE FUNCTION quality.keep_used_version();

--- Samples -------------------------------------------------------------------------------------------------------------

CREATE TABLE quality.plans (
    plan_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision     integer     NOT NULL DEFAULT 1,
    active       boolean     NOT NULL DEFAULT true,
    body         jsonb       NOT NULL,
    form_id      bigint      NOT NULL REFERENCES quality.forms,
    seed         bigint      NOT NULL,
    drawn_until  date,
    author       text        NOT NULL,
    made_at      timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL
);
COMMENT ON TABLE quality.plans IS 'Sampling plans: which calls are to be scored, and by whom.';
COMMENT ON COLUMN quality.plans.plan_id IS 'The plan.';
COMMENT ON COLUMN quality.plans.revision IS 'Rises with every change; a change names the one it was made from.';
COMMENT ON COLUMN quality.plans.active IS 'Whether calls are drawn.';
COMMENT ON COLUMN quality.plans.body IS 'Kind, filters, share of each agent, scorers, deadline; see docs/quality.md.';
COMMENT ON COLUMN quality.plans.form_id IS 'The form calls are scored with.';
COMMENT ON COLUMN quality.plans.seed IS 'The lots depend on it: the same calls and the same seed give the same draw.';
COMMENT ON COLUMN quality.plans.drawn_until IS 'Days before this one, of the centre, have been drawn from. NULL: nothing yet.';
COMMENT ON COLUMN quality.plans.author IS 'Who wrote it last.';
COMMENT ON COLUMN quality.plans.made_at IS 'When it was made.';
COMMENT ON COLUMN quality.plans.changed_at IS 'When it was last changed by a person.';

CREATE TABLE quality.calibrations (
    calibration_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title           text        NOT NULL,
    call_id         text        NOT NULL,
    agent           text        NOT NULL,
    form_id         bigint      NOT NULL,
    form_version    integer     NOT NULL,
    scorers         text[]      NOT NULL,
    author          text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    closed_at       timestamptz,
    FOREIGN KEY (form_id, form_version) REFERENCES quality.form_versions
);
COMMENT ON TABLE quality.calibrations IS 'One call scored by several people who do not see each other''s scores before it is closed.';
COMMENT ON COLUMN quality.calibrations.calibration_id IS 'The round.';
COMMENT ON COLUMN quality.calibrations.title IS 'What it is called.';
COMMENT ON COLUMN quality.calibrations.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN quality.calibrations.agent IS 'The agent whose talk is scored.';
COMMENT ON COLUMN quality.calibrations.form_id IS 'The form.';
COMMENT ON COLUMN quality.calibrations.form_version IS 'Its version, the same for everybody.';
COMMENT ON COLUMN quality.calibrations.scorers IS 'Who scores.';
COMMENT ON COLUMN quality.calibrations.author IS 'Who opened it.';
COMMENT ON COLUMN quality.calibrations.opened_at IS 'When it was opened.';
COMMENT ON COLUMN quality.calibrations.due_at IS 'When everybody should have scored.';
COMMENT ON COLUMN quality.calibrations.closed_at IS 'When the scores became visible to all. NULL: still blind.';

CREATE TABLE quality.samples (
    sample_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id         bigint      REFERENCES quality.plans,
    period_start    date,
    calibration_id  bigint      REFERENCES quality.calibrations,
    call_id         text        NOT NULL,
    agent           text        NOT NULL,
    queue           text        NOT NULL DEFAULT '',
    tier            text        NOT NULL DEFAULT '',
    form_id         bigint      NOT NULL REFERENCES quality.forms,
    why             jsonb       NOT NULL,
    scorer          text,
    drawn_at        timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'begun', 'done', 'dropped')),
    release         boolean     NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX samples_once ON quality.samples (call_id, agent) WHERE calibration_id IS NULL;
CREATE UNIQUE INDEX samples_blind ON quality.samples (calibration_id, scorer) WHERE calibration_id IS NOT NULL;
CREATE INDEX samples_waiting ON quality.samples (due_at) WHERE state IN ('open', 'begun');
CREATE INDEX samples_plan ON quality.samples (plan_id, period_start) WHERE plan_id IS NOT NULL;
COMMENT ON TABLE quality.samples IS 'Talks that are to be scored, or were. One talk comes here once, but for calibration.';
COMMENT ON COLUMN quality.samples.sample_id IS 'The sample.';
COMMENT ON COLUMN quality.samples.plan_id IS 'The plan that drew it. NULL: a person chose it, or it is for calibration.';
COMMENT ON COLUMN quality.samples.period_start IS 'First day of the plan''s period that it counts in.';
COMMENT ON COLUMN quality.samples.calibration_id IS 'The round of calibration it is for. NULL: none.';
COMMENT ON COLUMN quality.samples.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN quality.samples.agent IS 'The agent whose talk is scored.';
COMMENT ON COLUMN quality.samples.queue IS 'The call''s queue; empty: none.';
COMMENT ON COLUMN quality.samples.tier IS 'The customer''s tier at the time; empty: none.';
COMMENT ON COLUMN quality.samples.form_id IS 'The form it is scored with, in its version of the moment scoring begins.';
COMMENT ON COLUMN quality.samples.why IS 'Why this call: the plan''s kind, its lot and among how many, and what was found.';
COMMENT ON COLUMN quality.samples.scorer IS 'Who scores it. NULL: whoever takes it.';
COMMENT ON COLUMN quality.samples.drawn_at IS 'When it was drawn or chosen.';
COMMENT ON COLUMN quality.samples.due_at IS 'When it should be scored.';
COMMENT ON COLUMN quality.samples.state IS 'open, begun (there is a draft), done (submitted), or dropped (not to be scored).';
COMMENT ON COLUMN quality.samples.release IS 'Whether the agent sees the score as soon as it is submitted.';

--- Scores --------------------------------------------------------------------------------------------------------------

CREATE TABLE quality.scores (
    score_id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sample_id       bigint      NOT NULL UNIQUE REFERENCES quality.samples,
    calibration_id  bigint      REFERENCES quality.calibrations,
    call_id         text        NOT NULL,
    agent           text        NOT NULL,
    queue           text        NOT NULL DEFAULT '',
    tier            text        NOT NULL DEFAULT '',
    call_at         timestamptz,
    form_id         bigint      NOT NULL,
    form_version    integer     NOT NULL,
    scorer          text        NOT NULL,
    state           text        NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'submitted', 'released')),
    revision        integer     NOT NULL DEFAULT 1,
    answers         jsonb       NOT NULL DEFAULT '{}',
    remarks         jsonb       NOT NULL DEFAULT '[]',
    comment         text        NOT NULL DEFAULT '',
    total           double precision,
    passed          boolean,
    failed          text[]      NOT NULL DEFAULT '{}',
    review          text        NOT NULL DEFAULT 'none' CHECK (review IN ('none', 'asked', 'answered')),
    begun_at        timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    submitted_at    timestamptz,
    released_at     timestamptz,
    read_at         timestamptz,
    FOREIGN KEY (form_id, form_version) REFERENCES quality.form_versions
);
CREATE INDEX scores_agent ON quality.scores (agent, submitted_at DESC) WHERE state <> 'draft';
CREATE INDEX scores_submitted ON quality.scores (submitted_at DESC) WHERE state <> 'draft';
COMMENT ON TABLE quality.scores IS 'Scores of talks, drafts included.';
COMMENT ON COLUMN quality.scores.score_id IS 'The score.';
COMMENT ON COLUMN quality.scores.sample_id IS 'What it is a score of.';
COMMENT ON COLUMN quality.scores.calibration_id IS 'The round of calibration. NULL: none. Those count in no figure, and agents never see them.';
COMMENT ON COLUMN quality.scores.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN quality.scores.agent IS 'The agent whose talk it is.';
COMMENT ON COLUMN quality.scores.queue IS 'The call''s queue; empty: none.';
COMMENT ON COLUMN quality.scores.tier IS 'The customer''s tier at the time; empty: none.';
COMMENT ON COLUMN quality.scores.call_at IS 'When the call began.';
COMMENT ON COLUMN quality.scores.form_id IS 'The form.';
COMMENT ON COLUMN quality.scores.form_version IS 'Its version when scoring began; revisions stay with it.';
COMMENT ON COLUMN quality.scores.scorer IS 'Who scored.';
COMMENT ON COLUMN quality.scores.state IS 'draft, submitted, or released (the agent sees it).';
COMMENT ON COLUMN quality.scores.revision IS 'Rises with every change; a change names the one it was made from.';
COMMENT ON COLUMN quality.scores.answers IS 'Answers by item.';
COMMENT ON COLUMN quality.scores.remarks IS 'Remarks: text, second of the recording, item.';
COMMENT ON COLUMN quality.scores.comment IS 'What the scorer says of the whole.';
COMMENT ON COLUMN quality.scores.total IS '0 to 100. NULL: nothing that counts is answered.';
COMMENT ON COLUMN quality.scores.passed IS 'Whether the total reaches the form''s mark and nothing fatal to the whole failed.';
COMMENT ON COLUMN quality.scores.failed IS 'Fatal items that were failed.';
COMMENT ON COLUMN quality.scores.review IS 'Whether the agent asked to have it looked at again: none, asked, answered.';
COMMENT ON COLUMN quality.scores.begun_at IS 'When scoring began.';
COMMENT ON COLUMN quality.scores.changed_at IS 'When it was last changed.';
COMMENT ON COLUMN quality.scores.submitted_at IS 'When it was submitted first. NULL: a draft.';
COMMENT ON COLUMN quality.scores.released_at IS 'When the agent could see it first.';
COMMENT ON COLUMN quality.scores.read_at IS 'When the agent opened it as it is now. NULL: not since it was last released or revised.';

CREATE TABLE quality.score_items (
    score_id  bigint NOT NULL REFERENCES quality.scores ON DELETE CASCADE,
    item      text   NOT NULL,
    section   text   NOT NULL,
    value     text   NOT NULL,
    share     double precision,
    failed    boolean NOT NULL,
    PRIMARY KEY (score_id, item)
);
COMMENT ON TABLE quality.score_items IS 'Items of submitted scores, as they count.';
COMMENT ON COLUMN quality.score_items.score_id IS 'The score.';
COMMENT ON COLUMN quality.score_items.item IS 'The item''s name.';
COMMENT ON COLUMN quality.score_items.section IS 'The section''s name.';
COMMENT ON COLUMN quality.score_items.value IS 'The answer.';
COMMENT ON COLUMN quality.score_items.share IS 'Share of the item''s points, 0 to 1. NULL: it does not apply.';
COMMENT ON COLUMN quality.score_items.failed IS 'Whether it is fatal and was failed.';

CREATE TABLE quality.score_history (
    score_id  bigint      NOT NULL,
    revision  integer     NOT NULL,
    at        timestamptz NOT NULL,
    by        text        NOT NULL,
    act       text        NOT NULL CHECK (act IN ('submitted', 'revised', 'released', 'deleted')),
    reason    text        NOT NULL DEFAULT '',
    total     double precision,
    body      jsonb       NOT NULL,
    PRIMARY KEY (score_id, revision)
);
COMMENT ON TABLE quality.score_history IS 'What became of scores: a row a submission, revision, release, deletion. Never changed; outlives the score.';
COMMENT ON COLUMN quality.score_history.score_id IS 'The score.';
COMMENT ON COLUMN quality.score_history.revision IS 'The revision that the act made.';
COMMENT ON COLUMN quality.score_history.at IS 'When.';
COMMENT ON COLUMN quality.score_history.by IS 'Who.';
COMMENT ON COLUMN quality.score_history.act IS 'submitted, revised, released or deleted.';
COMMENT ON COLUMN quality.score_history.reason IS 'Why; revisions and deletions have one.';
COMMENT ON COLUMN quality.score_history.total IS 'The total after the act.';
COMMENT ON COLUMN quality.score_history.body IS 'Answers, remarks and comment after the act; of a deletion: before it.';

CREATE TABLE quality.replies (
    reply_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    score_id  bigint      NOT NULL REFERENCES quality.scores ON DELETE CASCADE,
    kind      text        NOT NULL CHECK (kind IN ('comment', 'review', 'answer')),
    author    text        NOT NULL,
    text      text        NOT NULL,
    at        timestamptz NOT NULL
);
CREATE INDEX replies_score ON quality.replies (score_id, reply_id);
COMMENT ON TABLE quality.replies IS 'What agents say to their scores, and what they are answered.';
COMMENT ON COLUMN quality.replies.reply_id IS 'The reply.';
COMMENT ON COLUMN quality.replies.score_id IS 'The score.';
COMMENT ON COLUMN quality.replies.kind IS 'comment or review (by the agent; a review asks to look at it again), or answer.';
COMMENT ON COLUMN quality.replies.author IS 'Who wrote it.';
COMMENT ON COLUMN quality.replies.text IS 'The words.';
COMMENT ON COLUMN quality.replies.at IS 'When.';

--- Coaching and praise -------------------------------------------------------------------------------------------------

CREATE TABLE quality.notes (
    note_id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent            text        NOT NULL,
    kind             text        NOT NULL CHECK (kind IN ('praise', 'coaching')),
    text             text        NOT NULL,
    call_id          text,
    second           double precision,
    author           text        NOT NULL,
    written_at       timestamptz NOT NULL,
    read_at          timestamptz,
    acknowledged_at  timestamptz,
    answer           text        NOT NULL DEFAULT '',
    withdrawn_at     timestamptz
);
CREATE INDEX notes_agent ON quality.notes (agent, written_at DESC) WHERE withdrawn_at IS NULL;
COMMENT ON TABLE quality.notes IS 'Praise and coaching, from supervisors to agents.';
COMMENT ON COLUMN quality.notes.note_id IS 'The note.';
COMMENT ON COLUMN quality.notes.agent IS 'Whom it is for.';
COMMENT ON COLUMN quality.notes.kind IS 'praise or coaching.';
COMMENT ON COLUMN quality.notes.text IS 'The words.';
COMMENT ON COLUMN quality.notes.call_id IS 'The call it is about. NULL: none.';
COMMENT ON COLUMN quality.notes.second IS 'The second of its recording. NULL: the whole.';
COMMENT ON COLUMN quality.notes.author IS 'Who wrote it.';
COMMENT ON COLUMN quality.notes.written_at IS 'When.';
COMMENT ON COLUMN quality.notes.read_at IS 'When the agent saw it.';
COMMENT ON COLUMN quality.notes.acknowledged_at IS 'When the agent said so.';
COMMENT ON COLUMN quality.notes.answer IS 'What the agent said to it.';
COMMENT ON COLUMN quality.notes.withdrawn_at IS 'When the author took it back. NULL: not.';

--- Views ---------------------------------------------------------------------------------------------------------------

CREATE VIEW report.quality_scores AS
SELECT score_id, call_id, agent, queue, tier, call_at, form_id, form_version, scorer, total, passed, failed, submitted_at,
       released_at, review
  FROM quality.scores
 WHERE state <> 'draft' AND calibration_id IS NULL;
COMMENT ON VIEW report.quality_scores IS 'One row a submitted score, calibration left out.';
COMMENT ON COLUMN report.quality_scores.score_id IS 'The score.';
COMMENT ON COLUMN report.quality_scores.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN report.quality_scores.agent IS 'Extension of the agent whose talk was scored.';
COMMENT ON COLUMN report.quality_scores.queue IS 'The call''s queue; empty: none.';
COMMENT ON COLUMN report.quality_scores.tier IS 'The customer''s tier at the time; empty: none.';
COMMENT ON COLUMN report.quality_scores.call_at IS 'When the call began.';
COMMENT ON COLUMN report.quality_scores.form_id IS 'The form.';
COMMENT ON COLUMN report.quality_scores.form_version IS 'The version of the form.';
COMMENT ON COLUMN report.quality_scores.scorer IS 'Who scored.';
COMMENT ON COLUMN report.quality_scores.total IS '0 to 100.';
COMMENT ON COLUMN report.quality_scores.passed IS 'Whether the total reaches the form''s mark and nothing fatal to the whole failed.';
COMMENT ON COLUMN report.quality_scores.failed IS 'Fatal items that were failed.';
COMMENT ON COLUMN report.quality_scores.submitted_at IS 'When it was submitted first.';
COMMENT ON COLUMN report.quality_scores.released_at IS 'When the agent could see it first. NULL: not yet.';
COMMENT ON COLUMN report.quality_scores.review IS 'Whether the agent asked to have it looked at again: `none`, `asked`, `answered`.';

CREATE VIEW report.quality_items AS
SELECT s.score_id, s.call_id, s.agent, s.queue, s.submitted_at, s.form_id, s.form_version, i.section, i.item, i.value,
       i.share, i.failed
  FROM quality.score_items i JOIN report.quality_scores s USING (score_id);
COMMENT ON VIEW report.quality_items IS 'One row an item of a submitted score, calibration left out.';
COMMENT ON COLUMN report.quality_items.score_id IS 'The score.';
COMMENT ON COLUMN report.quality_items.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN report.quality_items.agent IS 'Extension of the agent.';
COMMENT ON COLUMN report.quality_items.queue IS 'The call''s queue; empty: none.';
COMMENT ON COLUMN report.quality_items.submitted_at IS 'When the score was submitted first.';
COMMENT ON COLUMN report.quality_items.form_id IS 'The form.';
COMMENT ON COLUMN report.quality_items.form_version IS 'The version of the form.';
COMMENT ON COLUMN report.quality_items.section IS 'The section''s name.';
COMMENT ON COLUMN report.quality_items.item IS 'The item''s name, the same over versions.';
COMMENT ON COLUMN report.quality_items.value IS 'The answer; `na`: does not apply.';
COMMENT ON COLUMN report.quality_items.share IS 'Share of the item''s points, 0 to 1. NULL: it does not apply.';
COMMENT ON COLUMN report.quality_items.failed IS 'Whether the item is fatal and was failed.';

-- What surveys are read by: the facts are many, answers to surveys among them few.
CREATE INDEX facts_survey ON cti.facts (at) WHERE kind = 'SurveyAnswered';
CREATE INDEX facts_survey_steps ON cti.facts (at) WHERE kind = 'FlowStepDone' AND body ->> 'verb' = 'survey';
CREATE INDEX facts_comments ON cti.facts (at) WHERE kind = 'MessageRecorded';
-- When an agent talked first, and what one agent's calls are.
CREATE INDEX IF NOT EXISTS calls_agent ON cti.calls (agent, started_at) WHERE agent IS NOT NULL;
