// A steady tick. Browsers slow the timers of hidden pages down to one a minute; a worker's go on.
const every = Number(new URL(self.location.href).searchParams.get("ms") ?? 5000);
setInterval(() => self.postMessage(0), every);
export {};
