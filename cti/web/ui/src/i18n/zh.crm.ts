// 外部客户系统的中文用语。

import type { Dictionary } from "./dictionary";

export const crm: Dictionary["crm"] = {
  open: "在 CRM 中打开",
};
