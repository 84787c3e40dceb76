-- What is to be done for customers: tiers by rule, complaints, follow-up calls, tasks, early warning.

-- Rules --------------------------------------------------------------------------------------------------------------

CREATE TABLE crm.case_rules (
    kind        text        NOT NULL,
    version     integer     NOT NULL,
    body        jsonb       NOT NULL,
    author      text        NOT NULL,
    note        text        NOT NULL DEFAULT '',
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, version)
);
COMMENT ON TABLE crm.case_rules IS 'Rules of casework as they were set, newest version in force; without a row the rules the product comes with are.';
COMMENT ON COLUMN crm.case_rules.kind IS 'tiers, complaints or churn.';
COMMENT ON COLUMN crm.case_rules.version IS 'From 1, by kind.';
COMMENT ON COLUMN crm.case_rules.body IS 'The rules, as docs/casework.md describes them.';
COMMENT ON COLUMN crm.case_rules.author IS 'Who set them.';
COMMENT ON COLUMN crm.case_rules.note IS 'Why.';
COMMENT ON COLUMN crm.case_rules.at IS 'When.';

CREATE TABLE crm.case_jobs (
    job         text        PRIMARY KEY,
    ran_at      timestamptz NOT NULL,
    for_day     date,
    result      jsonb       NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE crm.case_jobs IS 'Work that is done by the clock: when it was done last.';
COMMENT ON COLUMN crm.case_jobs.job IS 'intake, escalation, tiers, churn or follow_ups.';
COMMENT ON COLUMN crm.case_jobs.ran_at IS 'When it was done last.';
COMMENT ON COLUMN crm.case_jobs.for_day IS 'Of nightly work: the day, in the centre''s time zone, that it was done for.';
COMMENT ON COLUMN crm.case_jobs.result IS 'What came of it, in figures; of the intake, the position in each journal up to which facts are taken in.';

CREATE TABLE crm.case_events (
    event_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    subject     text        NOT NULL,
    subject_id  bigint      NOT NULL,
    kind        text        NOT NULL,
    author      text        NOT NULL DEFAULT '',
    before      text        NOT NULL DEFAULT '',
    after       text        NOT NULL DEFAULT '',
    note        text        NOT NULL DEFAULT '',
    customer_id bigint      REFERENCES crm.customers ON DELETE CASCADE
);
CREATE INDEX case_events_subject ON crm.case_events (subject, subject_id, event_id);
CREATE INDEX case_events_customer ON crm.case_events (customer_id, event_id DESC) WHERE customer_id IS NOT NULL;
COMMENT ON TABLE crm.case_events IS 'What happened to complaints, follow-up calls, tasks, tiers and warnings: their history, and what others may follow in the order of event_id. Rows are never changed.';
COMMENT ON COLUMN crm.case_events.event_id IS 'Rising.';
COMMENT ON COLUMN crm.case_events.at IS 'When.';
COMMENT ON COLUMN crm.case_events.subject IS 'complaint, follow_up, task, tier or churn.';
COMMENT ON COLUMN crm.case_events.subject_id IS 'Number of the complaint, follow-up call or task; of tiers and warnings, the customer''s.';
COMMENT ON COLUMN crm.case_events.kind IS 'What happened: registered, moved, assigned, escalated, action, note, ...';
COMMENT ON COLUMN crm.case_events.author IS 'The user who did it; empty: the system.';
COMMENT ON COLUMN crm.case_events.before IS 'The value before, where something changed.';
COMMENT ON COLUMN crm.case_events.after IS 'The value from then on.';
COMMENT ON COLUMN crm.case_events.note IS 'What was said about it.';
COMMENT ON COLUMN crm.case_events.customer_id IS 'The customer it concerns, where known.';

-- Value and tiers ----------------------------------------------------------------------------------------------------

CREATE TABLE crm.transactions (
    transaction_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id    bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    at             timestamptz NOT NULL,
    amount         numeric(14, 2) NOT NULL,
    currency       text        NOT NULL DEFAULT '',
    reference      text        UNIQUE,
    what           text        NOT NULL DEFAULT '',
    added_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transactions_customer ON crm.transactions (customer_id, at DESC);
CREATE INDEX transactions_at ON crm.transactions (at);
COMMENT ON TABLE crm.transactions IS 'What customers bought: the value that tiers are computed of.';
COMMENT ON COLUMN crm.transactions.transaction_id IS 'Our number.';
COMMENT ON COLUMN crm.transactions.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.transactions.at IS 'When it was bought.';
COMMENT ON COLUMN crm.transactions.amount IS 'In the centre''s currency; below zero: a refund.';
COMMENT ON COLUMN crm.transactions.currency IS 'As the shop said it, or empty. Amounts are added up as they are: bring them in one currency.';
COMMENT ON COLUMN crm.transactions.reference IS 'The shop''s own number; bringing the same one again changes nothing.';
COMMENT ON COLUMN crm.transactions.what IS 'What it was, for people.';
COMMENT ON COLUMN crm.transactions.added_at IS 'When it was brought in.';

CREATE TABLE crm.customer_tiers (
    customer_id    bigint      PRIMARY KEY REFERENCES crm.customers ON DELETE CASCADE,
    computed       text,
    why            jsonb       NOT NULL DEFAULT '{}',
    rules_version  integer,
    computed_at    timestamptz,
    override       text,
    reason         text        NOT NULL DEFAULT '',
    author         text        NOT NULL DEFAULT '',
    overridden_at  timestamptz,
    expires_at     timestamptz,
    before         text        NOT NULL DEFAULT ''
);
CREATE INDEX customer_tiers_expiring ON crm.customer_tiers (expires_at) WHERE override IS NOT NULL;
COMMENT ON TABLE crm.customer_tiers IS 'How a customer came by the tier in crm.customers: by rule, or by a person''s word. No row: it was entered or imported.';
COMMENT ON COLUMN crm.customer_tiers.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.customer_tiers.computed IS 'The tier by the rules; NULL: they say nothing of this customer.';
COMMENT ON COLUMN crm.customer_tiers.why IS 'The figures it follows from.';
COMMENT ON COLUMN crm.customer_tiers.rules_version IS 'Version of the rules; 0: those the product comes with.';
COMMENT ON COLUMN crm.customer_tiers.computed_at IS 'When it was last computed.';
COMMENT ON COLUMN crm.customer_tiers.override IS 'The tier somebody gave instead; NULL: none.';
COMMENT ON COLUMN crm.customer_tiers.reason IS 'Why.';
COMMENT ON COLUMN crm.customer_tiers.author IS 'Who.';
COMMENT ON COLUMN crm.customer_tiers.overridden_at IS 'When.';
COMMENT ON COLUMN crm.customer_tiers.expires_at IS 'Until when it holds; NULL: until it is taken back.';
COMMENT ON COLUMN crm.customer_tiers.before IS 'The tier the customer had before the override, for those of whom the rules say nothing.';

-- Complaints ---------------------------------------------------------------------------------------------------------

CREATE TABLE crm.complaints (
    complaint_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text        NOT NULL,
    source_key    text        UNIQUE,
    customer_id   bigint      REFERENCES crm.customers ON DELETE SET NULL,
    call_id       text,
    contact_name  text        NOT NULL DEFAULT '',
    number        text,
    language      text        NOT NULL DEFAULT '',
    subject       text        NOT NULL,
    text          text        NOT NULL DEFAULT '',
    recording     text,
    cause         text        NOT NULL DEFAULT '',
    severity      text        NOT NULL,
    state         text        NOT NULL DEFAULT 'new',
    owner         text,
    queue         text,
    registered_by text        NOT NULL DEFAULT '',
    opened_at     timestamptz NOT NULL DEFAULT now(),
    due_at        timestamptz NOT NULL,
    snoozed_until timestamptz,
    escalation    integer     NOT NULL DEFAULT 0,
    resolved_at   timestamptz,
    resolution    text        NOT NULL DEFAULT '',
    closed_at     timestamptz,
    verdict       text,
    verdict_note  text        NOT NULL DEFAULT '',
    changed_at    timestamptz NOT NULL DEFAULT now(),
    revision      integer     NOT NULL DEFAULT 1
);
CREATE INDEX complaints_state ON crm.complaints (state, due_at);
CREATE INDEX complaints_opened ON crm.complaints (opened_at DESC);
CREATE INDEX complaints_customer ON crm.complaints (customer_id, opened_at DESC) WHERE customer_id IS NOT NULL;
COMMENT ON TABLE crm.complaints IS 'Complaints. What happened to each is in crm.case_events.';
COMMENT ON COLUMN crm.complaints.complaint_id IS 'Number of the complaint.';
COMMENT ON COLUMN crm.complaints.source IS 'call (an agent wrote it down), line (recorded by a flow), web, or api.';
COMMENT ON COLUMN crm.complaints.source_key IS 'What makes the same complaint come in once only.';
COMMENT ON COLUMN crm.complaints.customer_id IS 'The customer; NULL: not known.';
COMMENT ON COLUMN crm.complaints.call_id IS 'The call it came with.';
COMMENT ON COLUMN crm.complaints.contact_name IS 'Who complained, where that is not in the customer file.';
COMMENT ON COLUMN crm.complaints.number IS 'Where they can be called, E.164.';
COMMENT ON COLUMN crm.complaints.language IS 'Their language (en, zh), or empty.';
COMMENT ON COLUMN crm.complaints.subject IS 'In one line.';
COMMENT ON COLUMN crm.complaints.text IS 'In their words.';
COMMENT ON COLUMN crm.complaints.recording IS 'What they said, in the folder of recordings.';
COMMENT ON COLUMN crm.complaints.cause IS 'Path in the tree of causes ("delivery/late"); empty: not classified.';
COMMENT ON COLUMN crm.complaints.severity IS 'low, medium, high or critical.';
COMMENT ON COLUMN crm.complaints.state IS 'new, assigned, in_progress, waiting, resolved, closed or dismissed.';
COMMENT ON COLUMN crm.complaints.owner IS 'The user who looks after it; NULL: nobody yet.';
COMMENT ON COLUMN crm.complaints.queue IS 'Whose agents may take it; NULL: everybody.';
COMMENT ON COLUMN crm.complaints.registered_by IS 'The user who wrote it down; empty: the system.';
COMMENT ON COLUMN crm.complaints.opened_at IS 'When it came.';
COMMENT ON COLUMN crm.complaints.due_at IS 'When it must be resolved.';
COMMENT ON COLUMN crm.complaints.snoozed_until IS 'Not shown among its owner''s tasks before then.';
COMMENT ON COLUMN crm.complaints.escalation IS '0: none; 1: the owner was reminded; 2: the supervisors were told.';
COMMENT ON COLUMN crm.complaints.resolved_at IS 'When a resolution was offered last.';
COMMENT ON COLUMN crm.complaints.resolution IS 'What was done.';
COMMENT ON COLUMN crm.complaints.closed_at IS 'When it was closed or dismissed.';
COMMENT ON COLUMN crm.complaints.verdict IS 'What the customer said of the resolution: satisfied, partly or dissatisfied; NULL: not asked.';
COMMENT ON COLUMN crm.complaints.verdict_note IS 'In the customer''s words.';
COMMENT ON COLUMN crm.complaints.changed_at IS 'When the row last changed.';
COMMENT ON COLUMN crm.complaints.revision IS 'Rises with every change: who changes it says which one was seen.';

-- Follow-up calls ----------------------------------------------------------------------------------------------------

CREATE TABLE crm.follow_up_plans (
    plan_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL UNIQUE,
    body        jsonb       NOT NULL,
    active      boolean     NOT NULL DEFAULT true,
    author      text        NOT NULL DEFAULT '',
    since       timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE crm.follow_up_plans IS 'Plans that say which customers are called, and when.';
COMMENT ON COLUMN crm.follow_up_plans.plan_id IS 'Our number of the plan.';
COMMENT ON COLUMN crm.follow_up_plans.name IS 'Name for people.';
COMMENT ON COLUMN crm.follow_up_plans.body IS 'The plan, as docs/casework.md describes it.';
COMMENT ON COLUMN crm.follow_up_plans.active IS 'Whether new calls come of it.';
COMMENT ON COLUMN crm.follow_up_plans.author IS 'Who changed it last.';
COMMENT ON COLUMN crm.follow_up_plans.since IS 'What happened before this moment leads to no call: a new plan does not begin with all the past.';
COMMENT ON COLUMN crm.follow_up_plans.changed_at IS 'When it was changed last.';

CREATE TABLE crm.follow_ups (
    follow_up_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id       bigint      NOT NULL REFERENCES crm.follow_up_plans ON DELETE CASCADE,
    customer_id   bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    occasion      text        NOT NULL,
    complaint_id  bigint      REFERENCES crm.complaints ON DELETE SET NULL,
    state         text        NOT NULL DEFAULT 'due',
    owner         text,
    queue         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    due_at        timestamptz NOT NULL,
    snoozed_until timestamptz,
    attempts      integer     NOT NULL DEFAULT 0,
    outcome       text        NOT NULL DEFAULT '',
    answers       jsonb       NOT NULL DEFAULT '{}',
    note          text        NOT NULL DEFAULT '',
    ended_at      timestamptz,
    ended_by      text        NOT NULL DEFAULT '',
    UNIQUE (plan_id, customer_id, occasion)
);
CREATE INDEX follow_ups_open ON crm.follow_ups (due_at) WHERE state IN ('due', 'taken');
CREATE INDEX follow_ups_customer ON crm.follow_ups (customer_id, created_at DESC);
COMMENT ON TABLE crm.follow_ups IS 'Follow-up calls to be made, or made. One for each plan, customer and occasion.';
COMMENT ON COLUMN crm.follow_ups.follow_up_id IS 'Our number.';
COMMENT ON COLUMN crm.follow_ups.plan_id IS 'The plan it came of.';
COMMENT ON COLUMN crm.follow_ups.customer_id IS 'Whom to call.';
COMMENT ON COLUMN crm.follow_ups.occasion IS 'What it follows: purchase:<number>, contact:<day> or complaint:<number>.';
COMMENT ON COLUMN crm.follow_ups.complaint_id IS 'The complaint it follows.';
COMMENT ON COLUMN crm.follow_ups.state IS 'due, taken (an agent has it), done, unreached (every attempt failed) or dropped.';
COMMENT ON COLUMN crm.follow_ups.owner IS 'The user who has it, or is to make it.';
COMMENT ON COLUMN crm.follow_ups.queue IS 'Whose agents may make it; NULL: everybody.';
COMMENT ON COLUMN crm.follow_ups.created_at IS 'When it was put on the list.';
COMMENT ON COLUMN crm.follow_ups.due_at IS 'Not called before then; moves with every attempt that reached nobody.';
COMMENT ON COLUMN crm.follow_ups.snoozed_until IS 'Not shown before then.';
COMMENT ON COLUMN crm.follow_ups.attempts IS 'Calls made so far.';
COMMENT ON COLUMN crm.follow_ups.outcome IS 'What came of the last attempt.';
COMMENT ON COLUMN crm.follow_ups.answers IS 'The answers to the plan''s questions.';
COMMENT ON COLUMN crm.follow_ups.note IS 'What the agent wrote.';
COMMENT ON COLUMN crm.follow_ups.ended_at IS 'When it was done, or given up.';
COMMENT ON COLUMN crm.follow_ups.ended_by IS 'The user who ended it; empty: the system.';

CREATE TABLE crm.follow_up_attempts (
    follow_up_id  bigint      NOT NULL REFERENCES crm.follow_ups ON DELETE CASCADE,
    attempt       integer     NOT NULL,
    at            timestamptz NOT NULL,
    author        text        NOT NULL,
    call_id       text,
    outcome       text        NOT NULL,
    note          text        NOT NULL DEFAULT '',
    PRIMARY KEY (follow_up_id, attempt)
);
COMMENT ON TABLE crm.follow_up_attempts IS 'One row a call that was made for a follow-up.';
COMMENT ON COLUMN crm.follow_up_attempts.follow_up_id IS 'The follow-up.';
COMMENT ON COLUMN crm.follow_up_attempts.attempt IS 'From 1.';
COMMENT ON COLUMN crm.follow_up_attempts.at IS 'When its outcome was written down.';
COMMENT ON COLUMN crm.follow_up_attempts.author IS 'The agent.';
COMMENT ON COLUMN crm.follow_up_attempts.call_id IS 'The call, where it was made from the page.';
COMMENT ON COLUMN crm.follow_up_attempts.outcome IS 'reached, no_answer, busy, call_later, wrong_number or refused.';
COMMENT ON COLUMN crm.follow_up_attempts.note IS 'What the agent wrote.';

-- Tasks --------------------------------------------------------------------------------------------------------------

CREATE TABLE crm.tasks (
    task_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL,
    source_key    text        UNIQUE,
    state         text        NOT NULL DEFAULT 'open',
    title         text        NOT NULL DEFAULT '',
    detail        text        NOT NULL DEFAULT '',
    customer_id   bigint      REFERENCES crm.customers ON DELETE SET NULL,
    number        text,
    language      text        NOT NULL DEFAULT '',
    call_id       text,
    complaint_id  bigint      REFERENCES crm.complaints ON DELETE CASCADE,
    recording     text,
    queue         text,
    owner         text,
    for_role      text        NOT NULL DEFAULT 'agent',
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text        NOT NULL DEFAULT '',
    due_at        timestamptz NOT NULL,
    snoozed_until timestamptz,
    ended_at      timestamptz,
    ended_by      text        NOT NULL DEFAULT '',
    note          text        NOT NULL DEFAULT ''
);
CREATE INDEX tasks_open ON crm.tasks (owner, due_at) WHERE state IN ('open', 'taken');
CREATE INDEX tasks_customer ON crm.tasks (customer_id, created_at DESC) WHERE customer_id IS NOT NULL;
COMMENT ON TABLE crm.tasks IS 'What somebody has to do, besides complaints and follow-up calls, which have tables of their own.';
COMMENT ON COLUMN crm.tasks.task_id IS 'Our number.';
COMMENT ON COLUMN crm.tasks.kind IS 'voicemail, callback (one that reached nobody, or an appointment), web_callback, escalation or to_do.';
COMMENT ON COLUMN crm.tasks.source_key IS 'What makes the same task come about once only.';
COMMENT ON COLUMN crm.tasks.state IS 'open, taken, done or dropped.';
COMMENT ON COLUMN crm.tasks.title IS 'In one line; empty: the kind says it.';
COMMENT ON COLUMN crm.tasks.detail IS 'More.';
COMMENT ON COLUMN crm.tasks.customer_id IS 'The customer, where known.';
COMMENT ON COLUMN crm.tasks.number IS 'Whom to call, E.164.';
COMMENT ON COLUMN crm.tasks.language IS 'Their language (en, zh), or empty.';
COMMENT ON COLUMN crm.tasks.call_id IS 'The call it came with.';
COMMENT ON COLUMN crm.tasks.complaint_id IS 'The complaint it is about.';
COMMENT ON COLUMN crm.tasks.recording IS 'What they said: voicemail:<path> or recording:<path>, in those folders.';
COMMENT ON COLUMN crm.tasks.queue IS 'Whose agents may take it; NULL: everybody.';
COMMENT ON COLUMN crm.tasks.owner IS 'The user whose task it is; NULL: whoever takes it.';
COMMENT ON COLUMN crm.tasks.for_role IS 'agent, or supervisor: only they see it.';
COMMENT ON COLUMN crm.tasks.created_at IS 'When it came about.';
COMMENT ON COLUMN crm.tasks.created_by IS 'The user who made it; empty: the system.';
COMMENT ON COLUMN crm.tasks.due_at IS 'When it should be done.';
COMMENT ON COLUMN crm.tasks.snoozed_until IS 'Not shown before then.';
COMMENT ON COLUMN crm.tasks.ended_at IS 'When it was done or dropped.';
COMMENT ON COLUMN crm.tasks.ended_by IS 'Who did it.';
COMMENT ON COLUMN crm.tasks.note IS 'What was said about it.';

CREATE TABLE crm.web_callbacks (
    key          text        PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    name         text        NOT NULL DEFAULT '',
    number       text        NOT NULL,
    language     text        NOT NULL DEFAULT '',
    queue        text        NOT NULL,
    about        text        NOT NULL DEFAULT '',
    consent      text        NOT NULL,
    callback_id  text,
    refused      text        NOT NULL DEFAULT ''
);
COMMENT ON TABLE crm.web_callbacks IS 'Calls that were asked for on the web page.';
COMMENT ON COLUMN crm.web_callbacks.key IS 'The page''s own key of the request: sent twice, it is one.';
COMMENT ON COLUMN crm.web_callbacks.at IS 'When.';
COMMENT ON COLUMN crm.web_callbacks.name IS 'Who asked.';
COMMENT ON COLUMN crm.web_callbacks.number IS 'Where to call, E.164.';
COMMENT ON COLUMN crm.web_callbacks.language IS 'Their language (en, zh).';
COMMENT ON COLUMN crm.web_callbacks.queue IS 'The queue that calls.';
COMMENT ON COLUMN crm.web_callbacks.about IS 'What it is about.';
COMMENT ON COLUMN crm.web_callbacks.consent IS 'The words they agreed to.';
COMMENT ON COLUMN crm.web_callbacks.callback_id IS 'The callback that waits in the queue; NULL: it became a task.';
COMMENT ON COLUMN crm.web_callbacks.refused IS 'Why it became a task; empty: it did not.';

CREATE VIEW crm.work AS
SELECT 'task-' || task_id AS work_id, kind, state, title, detail, customer_id, number, language, call_id, complaint_id,
       NULL::bigint AS follow_up_id, recording, queue, owner, for_role, created_at, due_at, snoozed_until, 0 AS urgency
  FROM crm.tasks WHERE state IN ('open', 'taken')
UNION ALL
SELECT 'complaint-' || complaint_id, 'complaint', state, subject, '', customer_id, number, language, call_id, complaint_id,
       NULL::bigint, 'recording:' || recording, queue, owner, 'agent', opened_at, due_at, snoozed_until,
       CASE severity WHEN 'critical' THEN 3 WHEN 'high' THEN 2 WHEN 'medium' THEN 1 ELSE 0 END
  FROM crm.complaints WHERE state IN ('new', 'assigned', 'in_progress', 'waiting', 'resolved')
UNION ALL
SELECT 'follow-up-' || f.follow_up_id, 'follow_up', f.state, p.name, '', f.customer_id, NULL, '', NULL, f.complaint_id,
       f.follow_up_id, NULL, f.queue, f.owner, 'agent', f.created_at, f.due_at, f.snoozed_until, 0
  FROM crm.follow_ups f JOIN crm.follow_up_plans p USING (plan_id) WHERE f.state IN ('due', 'taken');
COMMENT ON VIEW crm.work IS 'Everything somebody has to do now or later: open tasks, complaints and follow-up calls, in one form.';
COMMENT ON COLUMN crm.work.work_id IS 'task-<number>, complaint-<number> or follow-up-<number>.';
COMMENT ON COLUMN crm.work.kind IS 'As in crm.tasks; or complaint, or follow_up.';
COMMENT ON COLUMN crm.work.state IS 'The state in its own table.';
COMMENT ON COLUMN crm.work.title IS 'In one line.';
COMMENT ON COLUMN crm.work.detail IS 'More.';
COMMENT ON COLUMN crm.work.customer_id IS 'The customer, where known.';
COMMENT ON COLUMN crm.work.number IS 'Whom to call, where that is not in the customer file.';
COMMENT ON COLUMN crm.work.language IS 'Their language, or empty.';
COMMENT ON COLUMN crm.work.call_id IS 'The call it came with.';
COMMENT ON COLUMN crm.work.complaint_id IS 'The complaint it is about.';
COMMENT ON COLUMN crm.work.follow_up_id IS 'The follow-up call.';
COMMENT ON COLUMN crm.work.recording IS 'What was said: voicemail:<path> or recording:<path>.';
COMMENT ON COLUMN crm.work.queue IS 'Whose agents may take it; NULL: everybody.';
COMMENT ON COLUMN crm.work.owner IS 'Whose it is; NULL: whoever takes it.';
COMMENT ON COLUMN crm.work.for_role IS 'agent, or supervisor: only they see it.';
COMMENT ON COLUMN crm.work.created_at IS 'When it came about.';
COMMENT ON COLUMN crm.work.due_at IS 'When it should be done; of follow-up calls, not before then.';
COMMENT ON COLUMN crm.work.snoozed_until IS 'Not shown before then.';
COMMENT ON COLUMN crm.work.urgency IS '0-3: of complaints, by severity.';

-- Early warning ------------------------------------------------------------------------------------------------------

CREATE TABLE crm.churn_scores (
    customer_id  bigint      PRIMARY KEY REFERENCES crm.customers ON DELETE CASCADE,
    score        double precision NOT NULL,
    reasons      jsonb       NOT NULL,
    since        timestamptz NOT NULL,
    computed_at  timestamptz NOT NULL
);
CREATE INDEX churn_scores_score ON crm.churn_scores (score DESC, customer_id);
COMMENT ON TABLE crm.churn_scores IS 'Customers who may be about to leave, as computed last.';
COMMENT ON COLUMN crm.churn_scores.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.churn_scores.score IS '0-100; docs/casework.md has the formula.';
COMMENT ON COLUMN crm.churn_scores.reasons IS 'Why: the parts of the score with their figures.';
COMMENT ON COLUMN crm.churn_scores.since IS 'Since when the customer has been on the list.';
COMMENT ON COLUMN crm.churn_scores.computed_at IS 'When.';

CREATE TABLE crm.churn_actions (
    action_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id  bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    at           timestamptz NOT NULL DEFAULT now(),
    author       text        NOT NULL,
    action       text        NOT NULL,
    note         text        NOT NULL DEFAULT '',
    score        double precision
);
CREATE INDEX churn_actions_customer ON crm.churn_actions (customer_id, at DESC);
COMMENT ON TABLE crm.churn_actions IS 'What was done about a warning.';
COMMENT ON COLUMN crm.churn_actions.action_id IS 'Our number.';
COMMENT ON COLUMN crm.churn_actions.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.churn_actions.at IS 'When.';
COMMENT ON COLUMN crm.churn_actions.author IS 'Who.';
COMMENT ON COLUMN crm.churn_actions.action IS 'called, offer, visit, no_risk or other.';
COMMENT ON COLUMN crm.churn_actions.note IS 'What came of it.';
COMMENT ON COLUMN crm.churn_actions.score IS 'The score at that moment.';
