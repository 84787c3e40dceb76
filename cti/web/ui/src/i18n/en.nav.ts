// Words of the bar that all pages share.

export const nav = {
  pages: "Pages",
  agent: "Desk",
  supervisor: "Floor",
  wall: "Wall",
  reports: "Reports",
  quality: "Quality",
  work: "Work",
  customers: "Customers",
  flows: "Flows",
  account: "My account",
  prompts: "Prompts",
  whoAmI: (name: string, role: string) => `Logged in as ${name}, ${role}`,
  roles: { agent: "agent", supervisor: "supervisor", admin: "administrator", wall: "wall screen" } as Readonly<Record<string, string>>,
};
