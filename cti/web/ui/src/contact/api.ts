// What the public page asks of the server.
import { request } from "../lib/api";
import type { Titles } from "../work/api";

export interface ContactInfo {
  name: string;
  languages: readonly string[];
  queues: Readonly<Record<string, Titles>>;
  consent: Titles;
  causes: readonly { cause: string; titles: Titles }[];
}

export const contactApi = {
  info: () => request<ContactInfo>("GET", "/contact"),
  callback: (body: object) => request<{ in_line: boolean }>("POST", "/web-callback", body),
  complain: (body: object) => request<{ complaint: number }>("POST", "/web-complaint", body),
};
