// Words for those who see certain queues only.

export const scope = {
  elsewhere: "busy with a call of another queue",
  ofQueues: (names: readonly string[]) => `Of your queues only: ${names.join(", ")}`,
};
