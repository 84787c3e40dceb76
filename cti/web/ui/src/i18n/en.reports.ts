// Words of the page /reports.

export const reports = {
  title: "Reports",
};
