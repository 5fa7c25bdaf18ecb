/** One request of the load, with its body read to the end. */
export interface LoadSample {
  kind: string;
  isGood: boolean;
  /** Absent where there was no answer. */
  status?: number;
  /** `registry-unreachable`, `wrong-bytes`, … */
  failure?: string;
  milliseconds: number;
  /** Of a 429, as it was written. */
  retryAfter?: string;
}

export interface LoadFacts {
  clients: number;
  /** Milliseconds that it was to take at most, and that it took. */
  duration: number;
  elapsed: number;
  maxRequests: number;
  maxBytes: number;
  samples: readonly LoadSample[];
  /** Requests that the end cut off. */
  cutOff: number;
  /** The most requests that were on their way at one time. */
  peakInFlight: number;
  /** How often a client kept still after a 429. */
  waited: number;
  endedBy: "duration" | "requests" | "bytes" | "interrupt";
  /** What went over the wire, tokens and redirects included. */
  requests: number;
  bytes: number;
}

export interface Latency {
  /** Milliseconds. */
  median: number;
  p95: number;
  max: number;
}

export interface LoadReport {
  clients: number;
  peakInFlight: number;
  seconds: number;
  endedBy: LoadFacts["endedBy"];
  /** Requests that got an answer or failed, and those of them that were a success. */
  requests: number;
  successes: number;
  cutOff: number;
  /** On the wire, those for tokens and redirects included. */
  wireRequests: number;
  requestsPerSecond: number;
  /** Bytes of bodies, both ways, and a second, in 10^6. */
  bytes: number;
  megabytesPerSecond: number;
  /** Of the successes; absent where there is none. */
  latency?: Latency;
  kinds: readonly { kind: string; requests: number; latency?: Latency }[];
  /** `{"503": 2, "registry-unreachable": 1}` */
  errors: Readonly<Record<string, number>>;
  /** `retryAfter`: what the 429s named, each once, at most ten; `unnamed`: how many of them named nothing. */
  throttled: { count: number; unnamed: number; retryAfter: readonly string[]; waited: number };
}

/** What the samples come to. Pure. */
export function summariseLoad(facts: LoadFacts): LoadReport {
  const { samples } = facts;
  const seconds = facts.elapsed / 1000;
  const perSecond = (amount: number): number => (seconds > 0 ? amount / seconds : 0);
  const good = samples.filter((sample) => sample.isGood);
  const errors: Record<string, number> = {};
  for (const sample of samples) {
    if (sample.isGood) continue;
    const kind = sample.failure ?? String(sample.status);
    errors[kind] = (errors[kind] ?? 0) + 1;
  }
  const throttled = samples.filter((sample) => sample.status === 429);
  const named = throttled.flatMap((sample) => (sample.retryAfter === undefined ? [] : [sample.retryAfter]));
  const { bytes } = facts;
  return {
    clients: facts.clients,
    peakInFlight: facts.peakInFlight,
    seconds,
    endedBy: facts.endedBy,
    requests: samples.length,
    successes: good.length,
    cutOff: facts.cutOff,
    wireRequests: facts.requests,
    requestsPerSecond: perSecond(samples.length),
    bytes,
    megabytesPerSecond: perSecond(bytes / 1e6),
    ...withLatency(good),
    kinds: [...new Set(samples.map((sample) => sample.kind))].sort().map((kind) => ({
      kind,
      requests: samples.filter((sample) => sample.kind === kind).length,
      ...withLatency(good.filter((sample) => sample.kind === kind)),
    })),
    errors,
    throttled: {
      count: throttled.length,
      unnamed: throttled.length - named.length,
      retryAfter: [...new Set(named)].slice(0, 10),
      waited: facts.waited,
    },
  };
}

function withLatency(samples: readonly LoadSample[]): { latency?: Latency } {
  const sorted = samples.map((sample) => sample.milliseconds).sort((a, b) => a - b);
  const [median, p95, max] = [0.5, 0.95, 1].map((part) => percentile(sorted, part));
  return median === undefined || p95 === undefined || max === undefined ? {} : { latency: { median, p95, max } };
}

/** The nearest rank: the smallest value that `part` (0 to 1) of all values do not exceed. Undefined of none. */
export function percentile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.max(Math.ceil(part * sorted.length) - 1, 0)];
}
