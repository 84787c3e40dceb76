// What is open with one customer, out of the three lists of casework, the most urgent first.
import { request } from "../lib/api";
import type { Complaint, FollowUp, Kind, Work } from "../work/api";

/** One thing that is not finished. */
export interface Matter {
  /** Its name in the list of tasks: complaint-7, follow-up-3, task-12. */
  readonly work: string;
  readonly kind: Kind;
  readonly title: string;
  /** Of a complaint. */
  readonly state: string;
  readonly due: string;
  readonly overdue: boolean;
  readonly owner: string;
  readonly href: string;
  /** To be called for it. */
  readonly number: string | null;
  readonly followUp: number | null;
}

const OPEN_COMPLAINTS = "new,assigned,in_progress,waiting";
/** Tasks that are about a call with the customer. */
const CALLS = "callback,web_callback,voicemail";
const MOST = 20;

export async function openMatters(customer: number): Promise<readonly Matter[]> {
  const [complaints, followUps, tasks] = await Promise.all([
    request<{ complaints: Complaint[] }>("GET", `/complaints?customer=${customer}&state=${OPEN_COMPLAINTS}&limit=${MOST}`),
    request<{ follow_ups: FollowUp[] }>("GET", `/follow-ups?customer=${customer}&state=due,taken&limit=${MOST}`),
    request<{ tasks: Work[] }>("GET", `/tasks?whose=both&kinds=${CALLS}&later=true&limit=200`),
  ]);
  const found: Matter[] = [
    ...complaints.complaints.map((one) => ({
      work: `complaint-${one.complaint_id}`,
      kind: "complaint" as const,
      title: one.subject,
      state: one.state,
      due: one.due_at,
      overdue: one.overdue,
      owner: one.owner ?? "",
      href: `/work#complaints/${one.complaint_id}`,
      number: null,
      followUp: null,
    })),
    ...followUps.follow_ups.map((one) => ({
      work: `follow-up-${one.follow_up_id}`,
      kind: "follow_up" as const,
      title: one.plan,
      state: "",
      due: one.due_at,
      overdue: false,
      owner: one.owner ?? "",
      href: `/work#calls/${one.follow_up_id}`,
      number: one.number,
      followUp: one.follow_up_id,
    })),
    ...tasks.tasks
      .filter((one) => one.customer_id === customer)
      .map((one) => ({
        work: one.work_id,
        kind: one.kind,
        title: one.title,
        state: "",
        due: one.due_at,
        overdue: one.overdue,
        owner: one.owner ?? "",
        href: "/work#tasks",
        number: one.number,
        followUp: null,
      })),
  ];
  return found.sort((a, b) => Number(b.overdue) - Number(a.overdue) || Date.parse(a.due) - Date.parse(b.due));
}
