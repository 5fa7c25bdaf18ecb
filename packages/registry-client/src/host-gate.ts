import { AsyncLocalStorage } from "node:async_hooks";

/** Leave to have one request on its way to a host, from before it is sent until its answer has been read or ended. */
export interface Place {
  /**
   * Whether it waits for whoever reads the answer or gives the content, and not for the server: such a place is no
   * reason to let others wait for ever.
   */
  setIdle(isIdle: boolean): void;
  /** More than once does no harm. */
  leave(): void;
}

export interface HostGate {
  /**
   * A place, where one is free; else waits for one, first come first served. @throws what {@link close} was given, also
   * while waiting
   */
  enter(): Place | Promise<Place>;
  /** The host is asked too much (429): half as many from now on. */
  slowDown(): void;
  /** It answered: a little more again. */
  speedUp(): void;
  /** Somebody has left in this turn of the event loop. */
  isJustLeft(): boolean;
  close(reason: Error): void;
}

/**
 * The hosts to which content is being sent while its source runs, whose own requests to the same host are part of that
 * and need no place of their own.
 */
const sending = new AsyncLocalStorage<ReadonlySet<string>>();

/** Runs one step of a source whose content goes to `host` under a place held there. */
export function runAsSource<T>(host: string, body: () => T): T {
  const outer = sending.getStore();
  return outer?.has(host) === true ? body() : sending.run(new Set([...(outer ?? []), host]), body);
}

const free: Place = { setIdle: () => undefined, leave: () => undefined };
/** So many good answers after a 429 allow for one request more. */
const easeAfter = 20;

interface GateState {
  readonly patience: number;
  readonly waiting: { resolve: (place: Place) => void; reject: (error: Error) => void }[];
  /** So many requests may be under way now. */
  current: number;
  taken: number;
  idle: number;
  /** Good answers since the last 429, or the last easing. */
  good: number;
  /** Since the last look. */
  moved: boolean;
  justLeft: boolean;
  timer: NodeJS.Timeout | undefined;
  closed: Error | undefined;
}

/**
 * At most `limit` requests on their way to `host` at once. A copy between two repositories of one host holds one place
 * for both its ends where the source is read by {@link runAsSource}. Where somebody holds answers unread and waits for
 * another place, nothing would ever move: when all places have been idle for `patience` milliseconds, one more is given
 * out.
 */
export function createHostGate(host: string, limit: number, patience = 250): HostGate {
  const state: GateState = {
    patience,
    waiting: [],
    current: limit,
    taken: 0,
    idle: 0,
    good: 0,
    moved: true,
    justLeft: false,
    timer: undefined,
    closed: undefined,
  };
  return {
    enter() {
      if (state.closed !== undefined) throw state.closed;
      if (sending.getStore()?.has(host) === true) return free;
      if (state.taken < state.current && state.waiting.length === 0) return makePlace(state);
      return new Promise<Place>((resolve, reject) => {
        state.waiting.push({ resolve, reject });
        admit(state);
      });
    },
    slowDown() {
      state.good = 0;
      state.current = Math.max(1, Math.floor(state.current / 2));
    },
    speedUp() {
      if (state.current >= limit || ++state.good < easeAfter) return;
      state.good = 0;
      state.current++;
      admit(state);
    },
    isJustLeft: () => state.justLeft,
    close(reason) {
      state.closed = reason;
      stopLooking(state);
      for (const each of state.waiting.splice(0)) each.reject(reason);
    },
  };
}

function makePlace(state: GateState): Place {
  state.taken++;
  state.moved = true;
  let isHeld = true;
  let wasIdle = false;
  const setIdle = (isIdle: boolean): void => {
    if (!isHeld || isIdle === wasIdle) return;
    wasIdle = isIdle;
    state.moved = true;
    state.idle += isIdle ? 1 : -1;
  };
  return {
    setIdle,
    leave() {
      if (!isHeld) return;
      setIdle(false);
      isHeld = false;
      state.taken--;
      state.moved = true;
      noteLeft(state);
      admit(state);
    },
  };
}

function noteLeft(state: GateState): void {
  if (state.justLeft) return;
  state.justLeft = true;
  setImmediate(() => {
    state.justLeft = false;
  });
}

function admit(state: GateState): void {
  while (state.taken < state.current) {
    const next = state.waiting.shift();
    if (next === undefined) break;
    next.resolve(makePlace(state));
  }
  if (state.waiting.length === 0) stopLooking(state);
  else state.timer ??= setInterval(() => look(state), state.patience);
}

/**
 * Whether anything has moved since the last time; where nothing has, and nobody waits for the server, one more may go.
 */
function look(state: GateState): void {
  if (!state.moved && state.idle === state.taken) state.waiting.shift()?.resolve(makePlace(state));
  state.moved = false;
  admit(state);
}

function stopLooking(state: GateState): void {
  clearInterval(state.timer);
  state.timer = undefined;
}
