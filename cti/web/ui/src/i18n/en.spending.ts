// English words of what dialling out costs, on the supervisor's page.

export const spending = {
  title: "Calling out today",
  money: (amount: string, currency: string) => `${amount} ${currency}`,
  today: (money: string, calls: string) => `${money} today · ${calls} ${calls === "1" ? "call" : "calls"}`,
  hour: (money: string) => `${money} in the last hour`,
  running: (calls: string) => `${calls} on the line`,
  centre: "Whole centre",
  others: "Who spent most",
  used: (used: string, cap: string) => `${used} of ${cap}`,
  limits: {
    dials_an_hour: "Calls an hour",
    minutes_a_day: "Minutes a day",
    cost_an_hour: "Cost an hour",
    cost_a_day: "Cost a day",
  },
};
