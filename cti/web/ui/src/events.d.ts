// JsSIP's types name Node's emitter; in the browser it is the `events` package, which has no types of its own.
declare module "events" {
  export class EventEmitter {
    removeAllListeners(event?: string): this;
  }
}
