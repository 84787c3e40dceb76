// One's own account, as the server tells it.
import { request } from "../lib/api";
import type { Role } from "../lib/rows";

export interface SessionRow {
  readonly session_id: string;
  readonly began_at: string;
  readonly seen_at: string;
  readonly ends_at: string;
  readonly address: string;
  readonly browser: string;
  readonly current: boolean;
}

export interface Security {
  readonly has_password: boolean;
  readonly second_factor: boolean;
  readonly second_factor_since: string | null;
  readonly second_factor_required: boolean;
  readonly recovery_codes_left: number;
  readonly sessions: readonly SessionRow[];
}

export interface Enrolment {
  readonly seed: string;
  readonly address: string;
  readonly picture: string;
}

export interface TokenRow {
  readonly token_id: string;
  readonly name: string;
  readonly username: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  readonly queues: readonly string[];
  readonly made_at: string;
  readonly made_by: string;
  readonly expires_at: string;
  readonly last_used_at: string | null;
  readonly works: boolean;
}

export interface TokenList {
  readonly tokens: readonly TokenRow[];
  readonly scopes: readonly string[];
  readonly longest_days: number;
}

export interface AccountRow {
  readonly username: string;
  readonly role: Role;
  readonly name: string;
  readonly has_password: boolean;
  readonly second_factor: boolean;
}

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly queues: readonly string[];
  readonly days: number;
  readonly username: string;
}

/** Who asks, once more. */
export interface Again {
  readonly password: string;
  readonly code: string;
}

const id = encodeURIComponent;

export const own = {
  security: () => request<Security>("GET", "/account"),
  endSession: (session: string) => request<unknown>("DELETE", `/account/sessions/${id(session)}`),
  endOthers: () => request<unknown>("POST", "/account/sessions/end-others"),
  changePassword: (again: Again, next: string) => request<unknown>("POST", "/account/password", { ...again, new_password: next }),
  begin: (again: Again) => request<Enrolment>("POST", "/account/second-factor", again),
  confirm: (code: string) => request<{ codes: readonly string[] }>("POST", "/account/second-factor/confirm", { code }),
  renewCodes: (again: Again) => request<{ codes: readonly string[] }>("POST", "/account/second-factor/recovery-codes", again),
  drop: (again: Again) => request<unknown>("POST", "/account/second-factor/drop", again),
  accounts: () => request<{ accounts: readonly AccountRow[] }>("GET", "/accounts").then((answer) => answer.accounts),
  reset: (username: string) => request<unknown>("POST", `/accounts/${id(username)}/second-factor/reset`),
  tokens: () => request<TokenList>("GET", "/tokens"),
  makeToken: (again: Again, token: NewToken) => request<{ token: string; row: TokenRow }>("POST", "/tokens", { ...again, ...token }),
  revoke: (token: string) => request<unknown>("DELETE", `/tokens/${id(token)}`),
};
