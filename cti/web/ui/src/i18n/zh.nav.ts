// 各页面共用的导航栏。

export const nav = {
  pages: "页面",
  agent: "坐席台",
  supervisor: "现场",
  wall: "大屏",
  reports: "报表",
  quality: "质检",
  work: "事务",
  customers: "客户",
  flows: "流程",
  account: "我的账户",
  prompts: "语音",
  whoAmI: (name: string, role: string) => `当前登录：${name}（${role}）`,
  roles: { agent: "坐席", supervisor: "主管", admin: "管理员", wall: "大屏" } as Readonly<Record<string, string>>,
};
