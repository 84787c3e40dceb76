// /wall 页面的用语。

export const wall = {
  title: "大屏",
};
