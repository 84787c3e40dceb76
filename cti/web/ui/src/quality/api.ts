// Quality over the HTTP API, typed. Times are ISO 8601 in UTC; shares are 0 to 1, totals 0 to 100.
import { request } from "../lib/api";

export type Titles = Readonly<Record<string, string>>;
export type Answer = number | string;
export type Answers = Readonly<Record<string, Answer>>;

export interface Choice {
  name: string;
  titles: Titles;
  share: number;
}
export interface Item {
  name: string;
  titles: Titles;
  kind: "scale" | "yes_no" | "choice";
  weight: number;
  least?: number;
  most?: number;
  choices?: Choice[];
  may_not_apply: boolean;
  fatal: "none" | "section" | "form";
  hint?: Titles;
}
export interface Section {
  name: string;
  titles: Titles;
  weight: number;
  items: Item[];
}
export interface FormBody {
  titles: Titles;
  passing: number;
  sections: Section[];
}
export interface FormRow {
  form_id: number;
  revision: number;
  version: number;
  versions: number;
  body: FormBody;
  used: boolean;
  archived: boolean;
  author: string;
  note: string;
  changed_at: string;
}

export type PlanKind = "random" | "low_survey" | "complaint" | "new_agent" | "long_hold";
export const PLAN_KINDS: readonly PlanKind[] = ["random", "low_survey", "complaint", "new_agent", "long_hold"];
export interface PlanBody {
  title: string;
  kind: PlanKind;
  form_id: number;
  per_agent: number;
  period: "day" | "week";
  queues: string[];
  tiers: string[];
  agents: string[];
  scorers: string[];
  deadline_days: number;
  least_talk_seconds: number;
  question: string;
  at_most: number;
  first_days: number;
  hold_seconds: number;
  release: boolean;
}
export interface PlanRow {
  plan_id: number;
  revision: number;
  active: boolean;
  body: PlanBody;
  seed: number;
  author: string;
  changed_at: string;
  drawn_until: string | null;
  waiting: number;
  scored: number;
}
export type Why = Readonly<Record<string, string | number>>;
export interface DrawnRow {
  call_id: string;
  agent: string;
  queue: string;
  scorer: string | null;
  why: Why;
}
export interface Sample {
  sample_id: number;
  plan_id: number | null;
  plan: string;
  calibration_id: number | null;
  call_id: string;
  agent: string;
  queue: string;
  tier: string;
  form_id: number;
  form_titles: Titles;
  why: Why;
  scorer: string | null;
  drawn_at: string;
  due_at: string;
  overdue: boolean;
  state: "open" | "begun" | "done" | "dropped";
  score_id: number | null;
  total: number | null;
  passed: boolean | null;
  call_at: string | null;
  talk_seconds: number | null;
  recorded: boolean;
}

export interface Remark {
  text: string;
  second: number | null;
  item: string;
}
export interface Score {
  score_id: number;
  sample_id: number;
  call_id: string;
  agent: string;
  queue: string;
  tier: string;
  form_id: number;
  form_version: number;
  form_titles: Titles;
  scorer: string;
  state: "draft" | "submitted" | "released";
  revision: number;
  total: number | null;
  passed: boolean | null;
  failed: readonly string[];
  submitted_at: string | null;
  released_at: string | null;
  read_at: string | null;
  review: "none" | "asked" | "answered";
  replies: number;
  call_at: string | null;
  calibration_id: number | null;
}
export interface ScoreDetail {
  score: Score;
  form: FormBody;
  answers: Answers;
  remarks: readonly Remark[];
  comment: string;
  marks: {
    total: number | null;
    passed: boolean | null;
    sections: readonly { name: string; score: number | null; failed: boolean }[];
    items: readonly { name: string; section: string; value: Answer | null; share: number | null; failed: boolean }[];
    missing: readonly string[];
  };
  why: Why;
  history: readonly { revision: number; at: string; by: string; act: string; reason: string; total: number | null; answers: Answers }[];
  replies: readonly { reply_id: number; kind: string; author: string; text: string; at: string }[];
  talk_seconds: number | null;
  recorded: boolean;
}
export interface Scored {
  revision: number;
  answers: Answers;
  remarks: readonly Remark[];
  comment: string;
}

export interface Calibration {
  calibration_id: number;
  title: string;
  call_id: string;
  agent: string;
  form_id: number;
  form_titles: Titles;
  scorers: readonly string[];
  submitted: readonly string[];
  author: string;
  opened_at: string;
  due_at: string;
  closed_at: string | null;
}
export interface CalibrationDetail {
  calibration: Calibration;
  form: FormBody;
  comparison: {
    items: readonly { name: string; said: Answers; agreement: number | null; spread: number | null }[];
    pairs: readonly { one: string; other: string; items: number; agreement: number | null; kappa: number | null }[];
    agreement: number | null;
    icc: number | null;
    totals: Readonly<Record<string, number | null>>;
    spread: number | null;
  } | null;
}

export interface Note {
  note_id: number;
  agent: string;
  kind: "praise" | "coaching";
  text: string;
  call_id: string | null;
  second: number | null;
  author: string;
  written_at: string;
  read_at: string | null;
  acknowledged_at: string | null;
  answer: string;
}
export interface Counts {
  notes: number;
  scores: number;
  to_acknowledge: number;
  reviews: number;
  to_score: number;
}

export interface Share {
  count: number;
  total: number;
  share: number | null;
  low: number | null;
  high: number | null;
}
export interface Figure {
  value: number | null;
  low: number | null;
  high: number | null;
}
export interface FigureRow {
  key: string;
  scores: number;
  mean: Figure;
  passed: Share;
  failed: number;
}
export interface Figures {
  overall: FigureRow;
  rows: readonly FigureRow[];
  trend: readonly { key: string; start: string; scores: number; mean: number }[];
}
export interface Summary {
  day: string;
  team: string;
  calls: number;
  handling_seconds: number | null;
  csat: Share;
  scores: number;
  mean: number | null;
  agents: readonly { agent: string; calls: number; handling_seconds: number | null; csat: Share; scores: number; mean: number | null; praise: number }[];
  praise: readonly Note[];
  look_at: readonly { kind: string; count: number; agent: string; call_id: string; score_id: number | null; value: number | null }[];
}
export interface SurveyGroup {
  key: string;
  question: string;
  scores: { answers: number; least: number; most: number; counts: Readonly<Record<string, number>>; mean: Figure; csat: Share; nps: Figure };
}
export interface Surveys {
  questions: readonly SurveyGroup[];
  groups: readonly SurveyGroup[];
  trend: readonly { question: string; start: string; answers: number; mean: number; csat: number | null }[];
  response: Share;
  response_by: Readonly<Record<string, Share>>;
}
export interface LowScore {
  call_id: string;
  at: string;
  question: string;
  score: number;
  flow: string;
  queue: string;
  agent: string;
  tier: string;
  caller_number: string | null;
  customer_id: number | null;
  customer_name: string;
  comment: boolean;
  complaint_id: number | null;
  handled: boolean;
}
export interface SaidComment {
  call_id: string;
  recording_id: string;
  at: string;
  flow: string;
  seconds: number;
  queue: string;
  agent: string;
  lowest: number | null;
}

type Values = Readonly<Record<string, string | number | boolean | null | undefined>>;
const query = (values: Values): string => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length > 0 ? `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}` : "";
};
const get = <T>(path: string, values: Values = {}) => request<T>("GET", `/quality/${path}${query(values)}`);
const post = <T>(path: string, body: unknown = {}) => request<T>("POST", `/quality/${path}`, body);

export const quality = {
  counts: () => get<Counts>("counts"),
  forms: (archived = false) => get<{ forms: FormRow[] }>("forms", { archived }).then((answer) => answer.forms),
  form: (id: number, version: number) => get<FormRow>(`forms/${id}`, { version }),
  addForm: (form: FormBody, note: string) => post<FormRow>("forms", { form, note }),
  changeForm: (id: number, revision: number, form: FormBody, note: string) => post<FormRow>(`forms/${id}`, { revision, form, note }),
  copyForm: (id: number) => post<FormRow>(`forms/${id}/copy`),
  archiveForm: (id: number, revision: number, archived: boolean) => post<FormRow>(`forms/${id}/archive`, { revision, archived }),
  plans: () => get<{ plans: PlanRow[] }>("plans").then((answer) => answer.plans),
  addPlan: (plan: PlanBody, active: boolean) => post<PlanRow>("plans", { plan, active }),
  changePlan: (id: number, revision: number, plan: PlanBody, active: boolean) => post<PlanRow>(`plans/${id}`, { revision, plan, active }),
  draw: (id: number, keep: boolean) => post<{ drawn: DrawnRow[] }>(`plans/${id}/draw`, { keep }).then((answer) => answer.drawn),
  samples: (values: Values) => get<{ samples: Sample[] }>("samples", values).then((answer) => answer.samples),
  choose: (body: object) => post<Sample>("samples", body),
  changeSample: (id: number, body: object) => post<Sample>(`samples/${id}`, body),
  begin: (sample: number) => post<ScoreDetail>(`samples/${sample}/score`),
  scores: (values: Values) => get<{ scores: Score[] }>("scores", values).then((answer) => answer.scores),
  score: (id: number) => get<ScoreDetail>(`scores/${id}`),
  seen: (id: number) => post<ScoreDetail>(`scores/${id}/seen`),
  draft: (id: number, scored: Scored) => post<ScoreDetail>(`scores/${id}/draft`, scored),
  submit: (id: number, scored: Scored, release: boolean) => post<ScoreDetail>(`scores/${id}/submit`, { ...scored, release }),
  revise: (id: number, scored: Scored, reason: string) => post<ScoreDetail>(`scores/${id}/revise`, { ...scored, reason }),
  release: (id: number, revision: number) => post<ScoreDetail>(`scores/${id}/release`, { revision }),
  remove: (id: number, revision: number, reason: string) => post<Score>(`scores/${id}/delete`, { revision, reason }),
  reply: (id: number, kind: "comment" | "review" | "answer", text: string) => post<ScoreDetail>(`scores/${id}/replies`, { kind, text }),
  calibrations: () => get<{ calibrations: Calibration[] }>("calibrations").then((answer) => answer.calibrations),
  calibration: (id: number) => get<CalibrationDetail>(`calibrations/${id}`),
  openCalibration: (body: object) => post<CalibrationDetail>("calibrations", body),
  closeCalibration: (id: number) => post<CalibrationDetail>(`calibrations/${id}/close`),
  notes: (values: Values = {}) => get<{ notes: Note[] }>("notes", values).then((answer) => answer.notes),
  write: (body: object) => post<Note>("notes", body),
  noteSeen: (id: number) => post<Note>(`notes/${id}/seen`),
  acknowledge: (id: number, answer: string) => post<Note>(`notes/${id}/acknowledge`, { answer }),
  withdraw: (id: number) => post<Note>(`notes/${id}/withdraw`),
  figures: (values: Values) => get<Figures>("figures", values),
  summary: (values: Values) => get<Summary>("summary", values),
  surveys: (values: Values) => get<Surveys>("surveys", values),
  low: (values: Values) => get<{ low: LowScore[] }>("surveys/low", values).then((answer) => answer.low),
  comments: (values: Values) => get<{ comments: SaidComment[] }>("surveys/comments", values).then((answer) => answer.comments),
};

export interface CallFact {
  /** What happened, by the name it has in the journal. */
  fact: string;
  at: string;
  [field: string]: unknown;
}
export const callFacts = (call: string) =>
  request<{ facts: CallFact[]; call: { started_at: string; caller_number: string | null } | null; note: string; disposition: string }>("GET", `/calls/${encodeURIComponent(call)}`);
export const keepReport = (name: string, search: string) => request<unknown>("POST", "/reports/saved", { name, search, shared: true });
export const makeTask = (body: object) => request<unknown>("POST", "/tasks", body);
export const registerComplaint = (body: object) => request<{ complaint: { complaint_id: number } }>("POST", "/complaints", body);
