import { AsyncLocalStorage } from "node:async_hooks";

/** Leave to have one request on its way to a host, from before it is sent until its answer has been read or ended. */
export interface Place {
  /** Whether it waits for whoever reads the answer or gives the content, and not for the server: such a place is no reason to let others wait for ever. */
  setIdle(isIdle: boolean): void;
  /** More than once does no harm. */
  leave(): void;
}

export interface HostGate {
  /** Waits for a place, first come first served. @throws what {@link close} was given */
  enter(): Promise<Place>;
  /** The host is asked too much (429): half as many from now on. */
  slowDown(): void;
  /** It answered: a little more again. */
  speedUp(): void;
  /** Somebody has left in this turn of the event loop. */
  isJustLeft(): boolean;
  close(reason: Error): void;
}

/** The hosts to which content is being sent while its source runs, whose own requests to the same host are part of that and need no place of their own. */
const sending = new AsyncLocalStorage<ReadonlySet<string>>();

/** Runs one step of a source whose content goes to `host` under a place held there. */
export function runAsSource<T>(host: string, body: () => T): T {
  const outer = sending.getStore();
  return outer?.has(host) === true ? body() : sending.run(new Set([...(outer ?? []), host]), body);
}

const free: Place = { setIdle: () => undefined, leave: () => undefined };
/** So many good answers after a 429 allow for one request more. */
const easeAfter = 20;

/**
 * At most `limit` requests on their way to `host` at once. A copy between two repositories of one host holds one place for both its ends where the source is
 * read by {@link runAsSource}. Where somebody holds answers unread and waits for another place, nothing would ever move: when all places have been idle for
 * `patience` milliseconds, one more is given out.
 */
export function createHostGate(host: string, limit: number, patience = 250): HostGate {
  const waiting: { resolve: (place: Place) => void; reject: (error: Error) => void }[] = [];
  let current = limit;
  let taken = 0;
  let idle = 0;
  let good = 0;
  let moved = true;
  let timer: NodeJS.Timeout | undefined;
  let closed: Error | undefined;
  let justLeft = false;

  function makePlace(): Place {
    taken++;
    moved = true;
    let isHeld = true;
    let wasIdle = false;
    const setIdle = (isIdle: boolean): void => {
      if (!isHeld || isIdle === wasIdle) return;
      wasIdle = isIdle;
      moved = true;
      idle += isIdle ? 1 : -1;
    };
    return {
      setIdle,
      leave() {
        if (!isHeld) return;
        setIdle(false);
        isHeld = false;
        taken--;
        moved = true;
        if (!justLeft) {
          justLeft = true;
          setImmediate(() => {
            justLeft = false;
          });
        }
        admit();
      },
    };
  }

  function admit(): void {
    while (taken < current) {
      const next = waiting.shift();
      if (next === undefined) break;
      next.resolve(makePlace());
    }
    if (waiting.length === 0) {
      clearInterval(timer);
      timer = undefined;
    } else timer ??= setInterval(look, patience);
  }

  function look(): void {
    if (!moved && idle === taken) waiting.shift()?.resolve(makePlace());
    moved = false;
    admit();
  }

  return {
    async enter() {
      if (closed !== undefined) throw closed;
      if (sending.getStore()?.has(host) === true) return free;
      if (taken < current && waiting.length === 0) return makePlace();
      return new Promise<Place>((resolve, reject) => {
        waiting.push({ resolve, reject });
        admit();
      });
    },
    slowDown() {
      good = 0;
      current = Math.max(1, Math.floor(current / 2));
    },
    speedUp() {
      if (current >= limit || ++good < easeAfter) return;
      good = 0;
      current++;
      admit();
    },
    isJustLeft: () => justLeft,
    close(reason) {
      closed = reason;
      clearInterval(timer);
      timer = undefined;
      for (const each of waiting.splice(0)) each.reject(reason);
    },
  };
}
