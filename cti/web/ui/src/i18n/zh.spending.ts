// Chinese words of what dialling out costs, on the supervisor's page.
import type { Dictionary } from "./dictionary";

export const spending: Dictionary["spending"] = {
  title: "今日外呼",
  money: (amount, currency) => `${amount} ${currency}`,
  today: (money, calls) => `今日 ${money} · ${calls} 次呼叫`,
  hour: (money) => `最近一小时 ${money}`,
  running: (calls) => `通话中 ${calls}`,
  centre: "整个中心",
  others: "费用最高",
  used: (used, cap) => `${used} / ${cap}`,
  limits: {
    dials_an_hour: "每小时呼叫次数",
    minutes_a_day: "每天分钟数",
    cost_an_hour: "每小时费用",
    cost_a_day: "每天费用",
  },
};
