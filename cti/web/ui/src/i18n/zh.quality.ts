// /quality 页面的用语。

export const quality = {
  title: "质检",
};
