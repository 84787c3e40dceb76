// 只能查看部分队列者的用语。

export const scope = {
  elsewhere: "正忙于其他队列的通话",
  ofQueues: (names: readonly string[]) => `仅含您的队列：${names.join("、")}`,
};
