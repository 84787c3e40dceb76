// /reports 页面的用语。

export const reports = {
  title: "报表",
};
