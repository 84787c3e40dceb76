-- What is made of reports: kept ones, their mails, targets of the service audit and what is done about them.

CREATE TABLE cti.saved_reports (
    report_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL,
    owner       text        NOT NULL,
    shared      boolean     NOT NULL DEFAULT false,
    search      text        NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner, name)
);
COMMENT ON TABLE cti.saved_reports IS 'Views of the page of reports that somebody kept under a name.';
COMMENT ON COLUMN cti.saved_reports.report_id IS 'Rising.';
COMMENT ON COLUMN cti.saved_reports.name IS 'As its owner called it.';
COMMENT ON COLUMN cti.saved_reports.owner IS 'The user who kept it.';
COMMENT ON COLUMN cti.saved_reports.shared IS 'Whether everybody who may read reports sees it.';
COMMENT ON COLUMN cti.saved_reports.search IS 'The page''s address after the question mark: what is asked.';
COMMENT ON COLUMN cti.saved_reports.at IS 'When it was kept last.';

CREATE TABLE cti.report_schedules (
    schedule_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id   bigint      NOT NULL REFERENCES cti.saved_reports ON DELETE CASCADE,
    rhythm      text        NOT NULL CHECK (rhythm IN ('daily', 'weekly', 'monthly')),
    day         smallint    NOT NULL,
    at_time     text        NOT NULL,
    format      text        NOT NULL CHECK (format IN ('csv', 'xlsx', 'pdf')),
    language    text        NOT NULL,
    recipients  text[]      NOT NULL,
    active      boolean     NOT NULL DEFAULT true,
    author      text        NOT NULL,
    next_at     timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX report_schedules_next ON cti.report_schedules (next_at) WHERE active;
COMMENT ON TABLE cti.report_schedules IS 'Kept reports that are mailed.';
COMMENT ON COLUMN cti.report_schedules.schedule_id IS 'Rising.';
COMMENT ON COLUMN cti.report_schedules.report_id IS 'Which report.';
COMMENT ON COLUMN cti.report_schedules.rhythm IS 'daily, weekly or monthly.';
COMMENT ON COLUMN cti.report_schedules.day IS 'Weekly: 1 (Monday) to 7; monthly: 1 to 28; daily: 1.';
COMMENT ON COLUMN cti.report_schedules.at_time IS 'Time of day by the centre''s clock, as 07:30.';
COMMENT ON COLUMN cti.report_schedules.format IS 'csv, xlsx or pdf.';
COMMENT ON COLUMN cti.report_schedules.language IS 'Language of the file and the mail.';
COMMENT ON COLUMN cti.report_schedules.recipients IS 'Mail addresses.';
COMMENT ON COLUMN cti.report_schedules.active IS 'False: paused.';
COMMENT ON COLUMN cti.report_schedules.author IS 'Who set it up or changed it last.';
COMMENT ON COLUMN cti.report_schedules.next_at IS 'When the next mail is due; NULL while paused.';
COMMENT ON COLUMN cti.report_schedules.changed_at IS 'When it was set up or changed last.';

CREATE TABLE cti.report_mails (
    mail_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id bigint      NOT NULL REFERENCES cti.report_schedules ON DELETE CASCADE,
    due_at      timestamptz NOT NULL,
    state       text        NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sending', 'sent', 'failed', 'unknown')),
    attempts    integer     NOT NULL DEFAULT 0,
    next_at     timestamptz,
    sent_at     timestamptz,
    trouble     text        NOT NULL DEFAULT '',
    message_id  text        NOT NULL DEFAULT '',
    UNIQUE (schedule_id, due_at)
);
CREATE INDEX report_mails_due ON cti.report_mails (next_at) WHERE state = 'due';
COMMENT ON TABLE cti.report_mails IS 'Mails of reports: one row for each time one was due, so that none is made twice.';
COMMENT ON COLUMN cti.report_mails.mail_id IS 'Rising.';
COMMENT ON COLUMN cti.report_mails.schedule_id IS 'Of which schedule.';
COMMENT ON COLUMN cti.report_mails.due_at IS 'When it was due; days such as "yesterday" are meant as of then.';
COMMENT ON COLUMN cti.report_mails.state IS 'due; sending: its text is being handed over; sent; failed: given up; unknown: the line or the bridge went away while it was handed over, so it may have been sent and is not sent again.';
COMMENT ON COLUMN cti.report_mails.attempts IS 'Tries so far.';
COMMENT ON COLUMN cti.report_mails.next_at IS 'When it is tried next; NULL when it is not.';
COMMENT ON COLUMN cti.report_mails.sent_at IS 'When the mail server took it.';
COMMENT ON COLUMN cti.report_mails.trouble IS 'What went wrong last.';
COMMENT ON COLUMN cti.report_mails.message_id IS 'The mail''s Message-ID, the same in every try.';

CREATE TABLE cti.service_targets (
    target_id   bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric      text             NOT NULL,
    queue       text             NOT NULL DEFAULT '',
    target      double precision NOT NULL,
    tolerance   double precision NOT NULL DEFAULT 0,
    since       timestamptz      NOT NULL DEFAULT now(),
    until       timestamptz,
    author      text             NOT NULL
);
CREATE UNIQUE INDEX service_targets_now ON cti.service_targets (metric, queue) WHERE until IS NULL;
COMMENT ON TABLE cti.service_targets IS 'What indicators should be: targets in force, and those there were.';
COMMENT ON COLUMN cti.service_targets.target_id IS 'Rising.';
COMMENT ON COLUMN cti.service_targets.metric IS 'The indicator, as in the catalogue of reports.';
COMMENT ON COLUMN cti.service_targets.queue IS 'Of which queue; empty: of the whole centre.';
COMMENT ON COLUMN cti.service_targets.target IS 'Shares 0-1, times in seconds.';
COMMENT ON COLUMN cti.service_targets.tolerance IS 'So far off still counts as near.';
COMMENT ON COLUMN cti.service_targets.since IS 'From when it is in force.';
COMMENT ON COLUMN cti.service_targets.until IS 'When it was replaced or taken away; NULL: in force.';
COMMENT ON COLUMN cti.service_targets.author IS 'Who set it.';

CREATE TABLE cti.corrective_actions (
    action_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric      text        NOT NULL,
    queue       text        NOT NULL DEFAULT '',
    period      text        NOT NULL,
    cause       text        NOT NULL DEFAULT '',
    what        text        NOT NULL,
    owner       text        NOT NULL,
    due         date        NOT NULL,
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'dropped')),
    result      text        NOT NULL DEFAULT '',
    author      text        NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    closed_at   timestamptz
);
CREATE INDEX corrective_actions_open ON cti.corrective_actions (due) WHERE state = 'open';
COMMENT ON TABLE cti.corrective_actions IS 'What is done where a target was missed.';
COMMENT ON COLUMN cti.corrective_actions.action_id IS 'Rising.';
COMMENT ON COLUMN cti.corrective_actions.metric IS 'The indicator.';
COMMENT ON COLUMN cti.corrective_actions.queue IS 'The queue; empty: the whole centre.';
COMMENT ON COLUMN cti.corrective_actions.period IS 'The day, week or month it was missed in, as in reports.';
COMMENT ON COLUMN cti.corrective_actions.cause IS 'Why, as found.';
COMMENT ON COLUMN cti.corrective_actions.what IS 'What is done.';
COMMENT ON COLUMN cti.corrective_actions.owner IS 'Who sees to it.';
COMMENT ON COLUMN cti.corrective_actions.due IS 'By when.';
COMMENT ON COLUMN cti.corrective_actions.state IS 'open, done or dropped.';
COMMENT ON COLUMN cti.corrective_actions.result IS 'What came of it.';
COMMENT ON COLUMN cti.corrective_actions.author IS 'Who wrote it down.';
COMMENT ON COLUMN cti.corrective_actions.at IS 'When.';
COMMENT ON COLUMN cti.corrective_actions.closed_at IS 'When it was done or dropped.';
