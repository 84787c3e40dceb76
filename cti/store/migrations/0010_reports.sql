-- Figures of the past: what is counted one by one, sums by half hour, and the views that people read.
--
-- Calls stay in plain tables: reports do not read them. What a call adds to figures is in rows of whole numbers
-- (cti.counted_*), and these are summed by half hour (cti.half_hour_*) in the same transaction that stores the call.

CREATE TABLE cti.counted_calls (
    call_id text NOT NULL,
    number smallint NOT NULL,
    at timestamptz NOT NULL,
    slot timestamptz NOT NULL,
    until timestamptz,
    queue text,
    agent text,
    tier text,
    did text,
    direction text NOT NULL,
    outcome text,
    flow_version text,
    person text,
    previous_at timestamptz,
    next_at timestamptz,
    calls smallint NOT NULL DEFAULT 0,
    inbound smallint NOT NULL DEFAULT 0,
    outbound smallint NOT NULL DEFAULT 0,
    internal smallint NOT NULL DEFAULT 0,
    outbound_reached smallint NOT NULL DEFAULT 0,
    answered_calls smallint NOT NULL DEFAULT 0,
    wanted smallint NOT NULL DEFAULT 0,
    reached smallint NOT NULL DEFAULT 0,
    self_served smallint NOT NULL DEFAULT 0,
    menu_hang_ups smallint NOT NULL DEFAULT 0,
    voicemails smallint NOT NULL DEFAULT 0,
    overflowed smallint NOT NULL DEFAULT 0,
    rejected smallint NOT NULL DEFAULT 0,
    failed smallint NOT NULL DEFAULT 0,
    survival_calls smallint NOT NULL DEFAULT 0,
    recorded smallint NOT NULL DEFAULT 0,
    transferred smallint NOT NULL DEFAULT 0,
    resolvable smallint NOT NULL DEFAULT 0,
    resolved smallint NOT NULL DEFAULT 0,
    repeatable smallint NOT NULL DEFAULT 0,
    repeats smallint NOT NULL DEFAULT 0,
    callbacks_promised smallint NOT NULL DEFAULT 0,
    callbacks_kept smallint NOT NULL DEFAULT 0,
    callbacks_late smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (call_id, number)
);
CREATE INDEX counted_calls_at ON cti.counted_calls (at, call_id, number);
CREATE INDEX counted_calls_person ON cti.counted_calls (person, queue, at, call_id) WHERE person IS NOT NULL;
COMMENT ON TABLE cti.counted_calls IS 'Calls that have ended, each once, with what they add to figures. Folded from the call''s facts; can be rebuilt at any time.';
COMMENT ON COLUMN cti.counted_calls.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN cti.counted_calls.number IS 'Tells rows of one call apart, from 0.';
COMMENT ON COLUMN cti.counted_calls.at IS 'When the call arrived.';
COMMENT ON COLUMN cti.counted_calls.slot IS 'Beginning of the half-hour of `at`, by the centre''s clock.';
COMMENT ON COLUMN cti.counted_calls.until IS 'When it ended.';
COMMENT ON COLUMN cti.counted_calls.queue IS 'The queue, as in report.calls.';
COMMENT ON COLUMN cti.counted_calls.agent IS 'The agent, as in report.calls.';
COMMENT ON COLUMN cti.counted_calls.tier IS 'The customer''s tier.';
COMMENT ON COLUMN cti.counted_calls.did IS 'The number that was dialled.';
COMMENT ON COLUMN cti.counted_calls.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN cti.counted_calls.outcome IS 'The call''s outcome.';
COMMENT ON COLUMN cti.counted_calls.flow_version IS 'Flow and version it entered first (main@3). NULL: none.';
COMMENT ON COLUMN cti.counted_calls.person IS 'Who called, for repeat calls: c and the customer, or n and the number. NULL: not known, or not a call to a queue.';
COMMENT ON COLUMN cti.counted_calls.previous_at IS 'When the same person called the same queue before.';
COMMENT ON COLUMN cti.counted_calls.next_at IS 'When they called it next.';
COMMENT ON COLUMN cti.counted_calls.calls IS '1.';
COMMENT ON COLUMN cti.counted_calls.inbound IS '1: it came in.';
COMMENT ON COLUMN cti.counted_calls.outbound IS '1: an agent made it, to a number.';
COMMENT ON COLUMN cti.counted_calls.internal IS '1: between colleagues.';
COMMENT ON COLUMN cti.counted_calls.outbound_reached IS '1: outbound, and answered.';
COMMENT ON COLUMN cti.counted_calls.answered_calls IS '1: somebody of ours talked to the other side.';
COMMENT ON COLUMN cti.counted_calls.wanted IS '1: it got a place in a queue, or was turned away from one, and did not go over to a callback.';
COMMENT ON COLUMN cti.counted_calls.reached IS '1: wanted, and answered.';
COMMENT ON COLUMN cti.counted_calls.self_served IS '1: outcome self_served.';
COMMENT ON COLUMN cti.counted_calls.menu_hang_ups IS '1: hung up before the flow ended and before any queue.';
COMMENT ON COLUMN cti.counted_calls.voicemails IS '1: outcome voicemail.';
COMMENT ON COLUMN cti.counted_calls.overflowed IS '1: outcome overflow.';
COMMENT ON COLUMN cti.counted_calls.rejected IS '1: outcome rejected.';
COMMENT ON COLUMN cti.counted_calls.failed IS '1: outcome failed.';
COMMENT ON COLUMN cti.counted_calls.survival_calls IS '1: the telephone system carried it on without the bridge.';
COMMENT ON COLUMN cti.counted_calls.recorded IS '1: answered and recorded.';
COMMENT ON COLUMN cti.counted_calls.transferred IS '1: answered, and an agent sent the caller on.';
COMMENT ON COLUMN cti.counted_calls.resolvable IS '1: inbound to a queue, answered, and it is known who called.';
COMMENT ON COLUMN cti.counted_calls.resolved IS '1: resolvable, not sent on, and not called again within 7 days.';
COMMENT ON COLUMN cti.counted_calls.repeatable IS '1: inbound to a queue, and it is known who called.';
COMMENT ON COLUMN cti.counted_calls.repeats IS '1: the same person called the same queue in the 7 days before.';
COMMENT ON COLUMN cti.counted_calls.callbacks_promised IS '1: a callback, unless the customer called again first.';
COMMENT ON COLUMN cti.counted_calls.callbacks_kept IS '1: a callback, and answered.';
COMMENT ON COLUMN cti.counted_calls.callbacks_late IS '1: kept, and first dialled later than promised.';

CREATE TABLE cti.counted_visits (
    call_id text NOT NULL,
    number smallint NOT NULL,
    at timestamptz NOT NULL,
    slot timestamptz NOT NULL,
    until timestamptz,
    queue text,
    agent text,
    tier text,
    did text,
    direction text NOT NULL,
    outcome text,
    flow_version text,
    offered smallint NOT NULL DEFAULT 0,
    answered smallint NOT NULL DEFAULT 0,
    abandoned smallint NOT NULL DEFAULT 0,
    short_abandoned smallint NOT NULL DEFAULT 0,
    sent_elsewhere smallint NOT NULL DEFAULT 0,
    lost smallint NOT NULL DEFAULT 0,
    turned_away smallint NOT NULL DEFAULT 0,
    in_time smallint NOT NULL DEFAULT 0,
    level_base smallint NOT NULL DEFAULT 0,
    decided smallint NOT NULL DEFAULT 0,
    answer_wait_ms integer NOT NULL DEFAULT 0,
    abandon_wait_ms integer NOT NULL DEFAULT 0,
    promises smallint NOT NULL DEFAULT 0,
    promise_error_ms integer NOT NULL DEFAULT 0,
    promise_inside smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (call_id, number)
);
CREATE INDEX counted_visits_at ON cti.counted_visits (at, call_id, number);
COMMENT ON TABLE cti.counted_visits IS 'Stays of calls in queues, each once, with what they add to figures of the queue. Folded from the call''s facts; can be rebuilt at any time.';
COMMENT ON COLUMN cti.counted_visits.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN cti.counted_visits.number IS 'Tells rows of one call apart, from 0.';
COMMENT ON COLUMN cti.counted_visits.at IS 'When it began.';
COMMENT ON COLUMN cti.counted_visits.slot IS 'Beginning of the half-hour of `at`, by the centre''s clock.';
COMMENT ON COLUMN cti.counted_visits.until IS 'When it ended.';
COMMENT ON COLUMN cti.counted_visits.queue IS 'The queue.';
COMMENT ON COLUMN cti.counted_visits.agent IS 'Who answered. NULL: nobody.';
COMMENT ON COLUMN cti.counted_visits.tier IS 'The customer''s tier.';
COMMENT ON COLUMN cti.counted_visits.did IS 'The number that was dialled.';
COMMENT ON COLUMN cti.counted_visits.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN cti.counted_visits.outcome IS 'How it ended: answered, abandoned, short_abandon, voicemail, overflow, moved, callback, lost or turned_away.';
COMMENT ON COLUMN cti.counted_visits.flow_version IS 'Flow and version it entered first (main@3). NULL: none.';
COMMENT ON COLUMN cti.counted_visits.offered IS '1: a stay of the queue''s own.';
COMMENT ON COLUMN cti.counted_visits.answered IS '1: it ended with talk.';
COMMENT ON COLUMN cti.counted_visits.abandoned IS '1: given up after the short-abandon limit.';
COMMENT ON COLUMN cti.counted_visits.short_abandoned IS '1: given up within it.';
COMMENT ON COLUMN cti.counted_visits.sent_elsewhere IS '1: left for voicemail, a flow, a number, another queue.';
COMMENT ON COLUMN cti.counted_visits.lost IS '1: our side ended it.';
COMMENT ON COLUMN cti.counted_visits.turned_away IS '1: could not join.';
COMMENT ON COLUMN cti.counted_visits.in_time IS '1: answered within the service level.';
COMMENT ON COLUMN cti.counted_visits.level_base IS '1: part of what the service level is a share of.';
COMMENT ON COLUMN cti.counted_visits.decided IS '1: answered or abandoned.';
COMMENT ON COLUMN cti.counted_visits.answer_wait_ms IS 'Wait, where answered, ms.';
COMMENT ON COLUMN cti.counted_visits.abandon_wait_ms IS 'Wait, where abandoned, ms.';
COMMENT ON COLUMN cti.counted_visits.promises IS '1: answered, and a wait was expected on joining.';
COMMENT ON COLUMN cti.counted_visits.promise_error_ms IS 'Difference of expected and real wait, ms.';
COMMENT ON COLUMN cti.counted_visits.promise_inside IS '1: the real wait was within the range expected.';

CREATE TABLE cti.counted_talks (
    call_id text NOT NULL,
    number smallint NOT NULL,
    at timestamptz NOT NULL,
    slot timestamptz NOT NULL,
    until timestamptz,
    queue text,
    agent text,
    tier text,
    did text,
    direction text NOT NULL,
    outcome text,
    flow_version text,
    handled smallint NOT NULL DEFAULT 0,
    talk_ms integer NOT NULL DEFAULT 0,
    hold_ms integer NOT NULL DEFAULT 0,
    wrap_ms integer NOT NULL DEFAULT 0,
    handle_ms integer NOT NULL DEFAULT 0,
    transfers_out smallint NOT NULL DEFAULT 0,
    conferences smallint NOT NULL DEFAULT 0,
    consults smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (call_id, number)
);
CREATE INDEX counted_talks_at ON cti.counted_talks (at, call_id, number);
COMMENT ON TABLE cti.counted_talks IS 'Parts of agents in calls: all stretches of talk of one agent in one call together. Folded from the call''s facts; can be rebuilt at any time.';
COMMENT ON COLUMN cti.counted_talks.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN cti.counted_talks.number IS 'Tells rows of one call apart, from 0.';
COMMENT ON COLUMN cti.counted_talks.at IS 'When the agent first talked.';
COMMENT ON COLUMN cti.counted_talks.slot IS 'Beginning of the half-hour of `at`, by the centre''s clock.';
COMMENT ON COLUMN cti.counted_talks.until IS 'When the agent''s last stretch ended.';
COMMENT ON COLUMN cti.counted_talks.queue IS 'The queue out of which the agent got the call; the call''s last one before, where it came another way.';
COMMENT ON COLUMN cti.counted_talks.agent IS 'The agent.';
COMMENT ON COLUMN cti.counted_talks.tier IS 'The customer''s tier.';
COMMENT ON COLUMN cti.counted_talks.did IS 'The number that was dialled.';
COMMENT ON COLUMN cti.counted_talks.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN cti.counted_talks.outcome IS 'The call''s outcome.';
COMMENT ON COLUMN cti.counted_talks.flow_version IS 'Flow and version it entered first (main@3). NULL: none.';
COMMENT ON COLUMN cti.counted_talks.handled IS '1.';
COMMENT ON COLUMN cti.counted_talks.talk_ms IS 'Talk without hold, ms.';
COMMENT ON COLUMN cti.counted_talks.hold_ms IS 'Hold, ms.';
COMMENT ON COLUMN cti.counted_talks.wrap_ms IS 'Work after the call, ms.';
COMMENT ON COLUMN cti.counted_talks.handle_ms IS 'Talk, hold and work after, ms.';
COMMENT ON COLUMN cti.counted_talks.transfers_out IS 'How often the agent sent the caller on.';
COMMENT ON COLUMN cti.counted_talks.conferences IS 'How often the agent let a third party join.';
COMMENT ON COLUMN cti.counted_talks.consults IS 'How often the agent asked somebody.';

CREATE TABLE cti.counted_answers (
    call_id text NOT NULL,
    number smallint NOT NULL,
    at timestamptz NOT NULL,
    slot timestamptz NOT NULL,
    until timestamptz,
    queue text,
    agent text,
    tier text,
    did text,
    direction text NOT NULL,
    outcome text,
    flow_version text,
    flow text,
    step text,
    question text,
    score smallint,
    answers smallint NOT NULL DEFAULT 0,
    ratings smallint NOT NULL DEFAULT 0,
    rating_sum smallint NOT NULL DEFAULT 0,
    satisfied smallint NOT NULL DEFAULT 0,
    nps_answers smallint NOT NULL DEFAULT 0,
    nps_net smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (call_id, number)
);
CREATE INDEX counted_answers_at ON cti.counted_answers (at, call_id, number);
COMMENT ON TABLE cti.counted_answers IS 'Answers to questions of surveys. Folded from the call''s facts; can be rebuilt at any time.';
COMMENT ON COLUMN cti.counted_answers.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN cti.counted_answers.number IS 'Tells rows of one call apart, from 0.';
COMMENT ON COLUMN cti.counted_answers.at IS 'When.';
COMMENT ON COLUMN cti.counted_answers.slot IS 'Beginning of the half-hour of `at`, by the centre''s clock.';
COMMENT ON COLUMN cti.counted_answers.until IS 'NULL.';
COMMENT ON COLUMN cti.counted_answers.queue IS 'The call''s queue.';
COMMENT ON COLUMN cti.counted_answers.agent IS 'The call''s agent.';
COMMENT ON COLUMN cti.counted_answers.tier IS 'The customer''s tier.';
COMMENT ON COLUMN cti.counted_answers.did IS 'The number that was dialled.';
COMMENT ON COLUMN cti.counted_answers.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN cti.counted_answers.outcome IS 'The call''s outcome.';
COMMENT ON COLUMN cti.counted_answers.flow_version IS 'Flow and version it entered first (main@3). NULL: none.';
COMMENT ON COLUMN cti.counted_answers.flow IS 'The flow.';
COMMENT ON COLUMN cti.counted_answers.step IS 'The survey''s step.';
COMMENT ON COLUMN cti.counted_answers.question IS 'The question''s name.';
COMMENT ON COLUMN cti.counted_answers.score IS 'The key pressed.';
COMMENT ON COLUMN cti.counted_answers.answers IS '1.';
COMMENT ON COLUMN cti.counted_answers.ratings IS '1: a rating (not a question named nps or recommend).';
COMMENT ON COLUMN cti.counted_answers.rating_sum IS 'Its score.';
COMMENT ON COLUMN cti.counted_answers.satisfied IS '1: a rating of 4 or more.';
COMMENT ON COLUMN cti.counted_answers.nps_answers IS '1: a question named nps or recommend.';
COMMENT ON COLUMN cti.counted_answers.nps_net IS '1: its score is 9; -1: 6 or less; else 0.';

CREATE TABLE cti.half_hour_calls (
    slot timestamptz NOT NULL,
    queue text NOT NULL,
    tier text NOT NULL,
    did text NOT NULL,
    direction text NOT NULL,
    outcome text NOT NULL,
    calls bigint NOT NULL DEFAULT 0,
    inbound bigint NOT NULL DEFAULT 0,
    outbound bigint NOT NULL DEFAULT 0,
    internal bigint NOT NULL DEFAULT 0,
    outbound_reached bigint NOT NULL DEFAULT 0,
    answered_calls bigint NOT NULL DEFAULT 0,
    wanted bigint NOT NULL DEFAULT 0,
    reached bigint NOT NULL DEFAULT 0,
    self_served bigint NOT NULL DEFAULT 0,
    menu_hang_ups bigint NOT NULL DEFAULT 0,
    voicemails bigint NOT NULL DEFAULT 0,
    overflowed bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    survival_calls bigint NOT NULL DEFAULT 0,
    recorded bigint NOT NULL DEFAULT 0,
    transferred bigint NOT NULL DEFAULT 0,
    resolvable bigint NOT NULL DEFAULT 0,
    resolved bigint NOT NULL DEFAULT 0,
    repeatable bigint NOT NULL DEFAULT 0,
    repeats bigint NOT NULL DEFAULT 0,
    callbacks_promised bigint NOT NULL DEFAULT 0,
    callbacks_kept bigint NOT NULL DEFAULT 0,
    callbacks_late bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, queue, tier, did, direction, outcome)
);
COMMENT ON TABLE cti.half_hour_calls IS 'Sums of cti.counted_calls by half hour, kept in the transaction that stores the calls. Empty text: none.';
COMMENT ON COLUMN cti.half_hour_calls.slot IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN cti.half_hour_calls.queue IS 'The queue. Empty: none.';
COMMENT ON COLUMN cti.half_hour_calls.tier IS 'The customer''s tier. Empty: none.';
COMMENT ON COLUMN cti.half_hour_calls.did IS 'The number that was dialled. Empty: none.';
COMMENT ON COLUMN cti.half_hour_calls.direction IS 'inbound, outbound or internal. Empty: none.';
COMMENT ON COLUMN cti.half_hour_calls.outcome IS 'The call''s outcome. Empty: none.';
COMMENT ON COLUMN cti.half_hour_calls.calls IS 'Sum of calls of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.inbound IS 'Sum of inbound of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.outbound IS 'Sum of outbound of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.internal IS 'Sum of internal of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.outbound_reached IS 'Sum of outbound_reached of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.answered_calls IS 'Sum of answered_calls of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.wanted IS 'Sum of wanted of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.reached IS 'Sum of reached of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.self_served IS 'Sum of self_served of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.menu_hang_ups IS 'Sum of menu_hang_ups of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.voicemails IS 'Sum of voicemails of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.overflowed IS 'Sum of overflowed of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.rejected IS 'Sum of rejected of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.failed IS 'Sum of failed of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.survival_calls IS 'Sum of survival_calls of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.recorded IS 'Sum of recorded of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.transferred IS 'Sum of transferred of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.resolvable IS 'Sum of resolvable of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.resolved IS 'Sum of resolved of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.repeatable IS 'Sum of repeatable of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.repeats IS 'Sum of repeats of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.callbacks_promised IS 'Sum of callbacks_promised of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.callbacks_kept IS 'Sum of callbacks_kept of cti.counted_calls.';
COMMENT ON COLUMN cti.half_hour_calls.callbacks_late IS 'Sum of callbacks_late of cti.counted_calls.';

CREATE TABLE cti.half_hour_visits (
    slot timestamptz NOT NULL,
    queue text NOT NULL,
    tier text NOT NULL,
    did text NOT NULL,
    direction text NOT NULL,
    offered bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    abandoned bigint NOT NULL DEFAULT 0,
    short_abandoned bigint NOT NULL DEFAULT 0,
    sent_elsewhere bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    turned_away bigint NOT NULL DEFAULT 0,
    in_time bigint NOT NULL DEFAULT 0,
    level_base bigint NOT NULL DEFAULT 0,
    decided bigint NOT NULL DEFAULT 0,
    answer_wait_ms bigint NOT NULL DEFAULT 0,
    abandon_wait_ms bigint NOT NULL DEFAULT 0,
    promises bigint NOT NULL DEFAULT 0,
    promise_error_ms bigint NOT NULL DEFAULT 0,
    promise_inside bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, queue, tier, did, direction)
);
COMMENT ON TABLE cti.half_hour_visits IS 'Sums of cti.counted_visits by half hour, kept in the transaction that stores the calls. Empty text: none.';
COMMENT ON COLUMN cti.half_hour_visits.slot IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN cti.half_hour_visits.queue IS 'The queue. Empty: none.';
COMMENT ON COLUMN cti.half_hour_visits.tier IS 'The customer''s tier. Empty: none.';
COMMENT ON COLUMN cti.half_hour_visits.did IS 'The number that was dialled. Empty: none.';
COMMENT ON COLUMN cti.half_hour_visits.direction IS 'inbound, outbound or internal. Empty: none.';
COMMENT ON COLUMN cti.half_hour_visits.offered IS 'Sum of offered of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.answered IS 'Sum of answered of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.abandoned IS 'Sum of abandoned of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.short_abandoned IS 'Sum of short_abandoned of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.sent_elsewhere IS 'Sum of sent_elsewhere of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.lost IS 'Sum of lost of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.turned_away IS 'Sum of turned_away of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.in_time IS 'Sum of in_time of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.level_base IS 'Sum of level_base of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.decided IS 'Sum of decided of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.answer_wait_ms IS 'Sum of answer_wait_ms of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.abandon_wait_ms IS 'Sum of abandon_wait_ms of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.promises IS 'Sum of promises of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.promise_error_ms IS 'Sum of promise_error_ms of cti.counted_visits.';
COMMENT ON COLUMN cti.half_hour_visits.promise_inside IS 'Sum of promise_inside of cti.counted_visits.';

CREATE TABLE cti.half_hour_talks (
    slot timestamptz NOT NULL,
    agent text NOT NULL,
    queue text NOT NULL,
    direction text NOT NULL,
    handled bigint NOT NULL DEFAULT 0,
    talk_ms bigint NOT NULL DEFAULT 0,
    hold_ms bigint NOT NULL DEFAULT 0,
    wrap_ms bigint NOT NULL DEFAULT 0,
    handle_ms bigint NOT NULL DEFAULT 0,
    transfers_out bigint NOT NULL DEFAULT 0,
    conferences bigint NOT NULL DEFAULT 0,
    consults bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, agent, queue, direction)
);
COMMENT ON TABLE cti.half_hour_talks IS 'Sums of cti.counted_talks by half hour, kept in the transaction that stores the calls. Empty text: none.';
COMMENT ON COLUMN cti.half_hour_talks.slot IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN cti.half_hour_talks.agent IS 'Extension of the agent. Empty: none.';
COMMENT ON COLUMN cti.half_hour_talks.queue IS 'The queue. Empty: none.';
COMMENT ON COLUMN cti.half_hour_talks.direction IS 'inbound, outbound or internal. Empty: none.';
COMMENT ON COLUMN cti.half_hour_talks.handled IS 'Sum of handled of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.talk_ms IS 'Sum of talk_ms of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.hold_ms IS 'Sum of hold_ms of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.wrap_ms IS 'Sum of wrap_ms of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.handle_ms IS 'Sum of handle_ms of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.transfers_out IS 'Sum of transfers_out of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.conferences IS 'Sum of conferences of cti.counted_talks.';
COMMENT ON COLUMN cti.half_hour_talks.consults IS 'Sum of consults of cti.counted_talks.';

CREATE TABLE cti.agent_activities (
    call_id  text        NOT NULL,
    agent    text        NOT NULL,
    state    text        NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL
);
CREATE INDEX agent_activities_call ON cti.agent_activities (call_id);
CREATE INDEX agent_activities_agent ON cti.agent_activities (agent, ended_at);
COMMENT ON TABLE cti.agent_activities IS 'What calls took of agents'' time; they overlap. Folded from facts.';
COMMENT ON COLUMN cti.agent_activities.call_id IS 'The call.';
COMMENT ON COLUMN cti.agent_activities.agent IS 'Extension of the agent.';
COMMENT ON COLUMN cti.agent_activities.state IS 'reserved, ringing, dialling, talking, held or wrap_up.';
COMMENT ON COLUMN cti.agent_activities.began_at IS 'From.';
COMMENT ON COLUMN cti.agent_activities.ended_at IS 'To.';

CREATE TABLE cti.agent_times (
    slot   timestamptz NOT NULL,
    agent  text        NOT NULL,
    state  text        NOT NULL,
    reason text        NOT NULL,
    ms     integer     NOT NULL,
    PRIMARY KEY (slot, agent, state, reason)
);
CREATE INDEX agent_times_agent ON cti.agent_times (agent, slot);
COMMENT ON TABLE cti.agent_times IS 'What agents'' time went into, by half hour. Folded from facts.';
COMMENT ON COLUMN cti.agent_times.slot IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN cti.agent_times.agent IS 'Extension of the agent.';
COMMENT ON COLUMN cti.agent_times.state IS 'ready, not_ready, reserved, ringing, dialling, talking, held or wrap_up.';
COMMENT ON COLUMN cti.agent_times.reason IS 'Of not_ready: why. Else empty.';
COMMENT ON COLUMN cti.agent_times.ms IS 'How long, ms.';

CREATE TABLE cti.agent_marks (
    agent    text        PRIMARY KEY,
    until    timestamptz NOT NULL,
    state    text        NOT NULL,
    reason   text        NOT NULL
);
COMMENT ON TABLE cti.agent_marks IS 'Up to when each agent''s time is counted, and the state they chose last: it goes on from there.';
COMMENT ON COLUMN cti.agent_marks.agent IS 'Extension of the agent.';
COMMENT ON COLUMN cti.agent_marks.until IS 'Up to when cti.agent_times is filled.';
COMMENT ON COLUMN cti.agent_marks.state IS 'ready, not_ready or offline, as chosen last.';
COMMENT ON COLUMN cti.agent_marks.reason IS 'Of not_ready: why.';

CREATE INDEX facts_agent_changes ON cti.facts ((body->>'agent_id'), at) WHERE kind = 'AgentChanged';

CREATE TABLE cti.queue_rules (
    queue         text        NOT NULL,
    since         timestamptz NOT NULL,
    service_level double precision NOT NULL,
    short_abandon double precision NOT NULL,
    level_of      text        NOT NULL,
    PRIMARY KEY (queue, since)
);
COMMENT ON TABLE cti.queue_rules IS 'By what each queue''s stays were judged, and since when: a change of the centre changes no figure of the past.';
COMMENT ON COLUMN cti.queue_rules.queue IS 'The queue.';
COMMENT ON COLUMN cti.queue_rules.since IS 'From then on. Before the first row the first one holds.';
COMMENT ON COLUMN cti.queue_rules.service_level IS 'Seconds within which an answer is in time.';
COMMENT ON COLUMN cti.queue_rules.short_abandon IS 'Seconds within which giving up is a short abandon.';
COMMENT ON COLUMN cti.queue_rules.level_of IS 'What the service level is a share of.';

CREATE TABLE cti.report_state (
    one_row            boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    definition_version integer NOT NULL,
    zone               text    NOT NULL,
    rebuilt_at         timestamptz
);
COMMENT ON TABLE cti.report_state IS 'One row: by which definitions and which clock everything above was counted.';
COMMENT ON COLUMN cti.report_state.one_row IS 'true.';
COMMENT ON COLUMN cti.report_state.definition_version IS 'Version of the definitions of cti.reports.metrics.';
COMMENT ON COLUMN cti.report_state.zone IS 'The centre''s time zone.';
COMMENT ON COLUMN cti.report_state.rebuilt_at IS 'When everything was counted anew last.';

CREATE FUNCTION cti.forget_person() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    UPDATE cti.counted_calls SET person = NULL, previous_at = NULL, next_at = NULL WHERE call_id = NEW.call_id;
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION cti.forget_person() IS 'A call that is made anonymous tells nobody any more who called; its figures stay.';
CREATE TRIGGER calls_forget_person AFTER UPDATE OF caller_number, customer_id ON cti.calls FOR EACH ROW
  WHEN (NEW.caller_number IS NULL AND NEW.customer_id IS NULL
        AND (OLD.caller_number IS NOT NULL OR OLD.customer_id IS NOT NULL))
  EXECUTE FUNCTION cti.forget_person();

CREATE VIEW report.visits AS
SELECT call_id,
       number,
       queue,
       at AS entered_at,
       until AS left_at,
       extract(epoch FROM until - at)::double precision AS wait_seconds,
       outcome AS end_of_visit,
       agent,
       tier,
       did,
       direction,
       offered = 1 AS offered,
       in_time = 1 AS in_time,
       level_base = 1 AS in_level
  FROM cti.counted_visits;
COMMENT ON VIEW report.visits IS 'One row a stay of an ended call in a queue: what figures of queues are sums over. A call that is sent on to another queue has two. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.visits.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN report.visits.number IS 'Which stay of the call, from 0.';
COMMENT ON COLUMN report.visits.queue IS 'The queue.';
COMMENT ON COLUMN report.visits.entered_at IS 'When the stay began: the call got its place. Of a callback: when the place was taken whose it took over.';
COMMENT ON COLUMN report.visits.left_at IS 'When it ended.';
COMMENT ON COLUMN report.visits.wait_seconds IS 'From one to the other.';
COMMENT ON COLUMN report.visits.end_of_visit IS 'How it ended: answered, abandoned, short_abandon, voicemail, overflow, moved, callback, lost or turned_away.';
COMMENT ON COLUMN report.visits.agent IS 'Who answered. NULL: nobody.';
COMMENT ON COLUMN report.visits.tier IS 'The customer''s tier.';
COMMENT ON COLUMN report.visits.did IS 'The number that was dialled.';
COMMENT ON COLUMN report.visits.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN report.visits.offered IS 'Whether it counts as offered to the queue.';
COMMENT ON COLUMN report.visits.in_time IS 'Whether it was answered within the queue''s service level.';
COMMENT ON COLUMN report.visits.in_level IS 'Whether it is part of what the service level is a share of.';

CREATE VIEW report.talks AS
SELECT call_id,
       number,
       agent,
       queue,
       at AS answered_at,
       until AS ended_at,
       talk_ms / 1000.0::double precision AS talk_seconds,
       hold_ms / 1000.0::double precision AS hold_seconds,
       wrap_ms / 1000.0::double precision AS wrap_seconds,
       transfers_out AS transfers,
       conferences,
       consults,
       tier,
       did,
       direction
  FROM cti.counted_talks;
COMMENT ON VIEW report.talks IS 'One row an agent''s part in an ended call: what figures of agents are sums over. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.talks.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN report.talks.number IS 'Which part, in the order agents came, from 0.';
COMMENT ON COLUMN report.talks.agent IS 'Extension of the agent.';
COMMENT ON COLUMN report.talks.queue IS 'The queue out of which this agent got the call; the call''s last one before, where it came another way. NULL: none.';
COMMENT ON COLUMN report.talks.answered_at IS 'When this agent first talked.';
COMMENT ON COLUMN report.talks.ended_at IS 'When this agent''s last stretch of talk ended.';
COMMENT ON COLUMN report.talks.talk_seconds IS 'Talk of this agent, hold left out.';
COMMENT ON COLUMN report.talks.hold_seconds IS 'Time this agent held the caller.';
COMMENT ON COLUMN report.talks.wrap_seconds IS 'Work after the call; 0 until it has ended.';
COMMENT ON COLUMN report.talks.transfers IS 'How often this agent sent the caller on, at once or after asking.';
COMMENT ON COLUMN report.talks.conferences IS 'How often this agent let a third party join.';
COMMENT ON COLUMN report.talks.consults IS 'How often this agent asked somebody while the caller was held.';
COMMENT ON COLUMN report.talks.tier IS 'The customer''s tier.';
COMMENT ON COLUMN report.talks.did IS 'The number that was dialled.';
COMMENT ON COLUMN report.talks.direction IS 'inbound, outbound or internal.';

CREATE VIEW report.agent_times AS
SELECT slot AS half_hour,
       agent,
       state,
       nullif(reason, '') AS reason,
       ms / 1000.0::double precision AS seconds
  FROM cti.agent_times;
COMMENT ON VIEW report.agent_times IS 'What agents'' time went into: one row an agent, half-hour, state and reason. The time since an agent''s last change or call is not in it yet. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.agent_times.half_hour IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN report.agent_times.agent IS 'Extension of the agent.';
COMMENT ON COLUMN report.agent_times.state IS 'ready, not_ready, reserved, ringing, dialling, talking, held or wrap_up. Offline time has no row.';
COMMENT ON COLUMN report.agent_times.reason IS 'Of not_ready: why. NULL otherwise.';
COMMENT ON COLUMN report.agent_times.seconds IS 'How long within the half-hour.';

CREATE VIEW report.half_hours AS
SELECT slot AS half_hour,
       queue,
       nullif(tier, '') AS tier,
       nullif(did, '') AS did,
       direction,
       offered,
       answered,
       abandoned,
       short_abandoned,
       sent_elsewhere,
       lost,
       turned_away,
       in_time,
       level_base,
       answer_wait_ms / 1000.0::double precision AS answer_wait_seconds,
       abandon_wait_ms / 1000.0::double precision AS abandon_wait_seconds
  FROM cti.half_hour_visits;
COMMENT ON VIEW report.half_hours IS 'Sums of report.visits: one row a half-hour, queue, tier, dialled number and direction. Checked against the calls by `cti report check`. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.half_hours.half_hour IS 'Beginning of the half-hour, by the centre''s clock.';
COMMENT ON COLUMN report.half_hours.queue IS 'The queue.';
COMMENT ON COLUMN report.half_hours.tier IS 'The customer''s tier. NULL: none.';
COMMENT ON COLUMN report.half_hours.did IS 'The number that was dialled. NULL: not known.';
COMMENT ON COLUMN report.half_hours.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN report.half_hours.offered IS 'Stays that began.';
COMMENT ON COLUMN report.half_hours.answered IS 'Of these: answered.';
COMMENT ON COLUMN report.half_hours.abandoned IS 'Given up after the short-abandon limit.';
COMMENT ON COLUMN report.half_hours.short_abandoned IS 'Given up within it.';
COMMENT ON COLUMN report.half_hours.sent_elsewhere IS 'Left for voicemail, a flow, a number, another queue.';
COMMENT ON COLUMN report.half_hours.lost IS 'Ended by our side.';
COMMENT ON COLUMN report.half_hours.turned_away IS 'Could not join (not among offered).';
COMMENT ON COLUMN report.half_hours.in_time IS 'Answered within the service level.';
COMMENT ON COLUMN report.half_hours.level_base IS 'What the service level is a share of.';
COMMENT ON COLUMN report.half_hours.answer_wait_seconds IS 'Wait of all answered together.';
COMMENT ON COLUMN report.half_hours.abandon_wait_seconds IS 'Wait of all abandoned together.';
