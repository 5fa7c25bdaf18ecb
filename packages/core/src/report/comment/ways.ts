import type { Part } from "./part.ts";

/** One thing to do, and all that it mends. */
export interface Way {
  stage: string;
  text: string;
  things: string[];
  images: Set<string>;
}

/** What to do, each once, whatever number of findings or images it mends; errors first, as they come first in a part. */
export function collectWays(parts: readonly Pick<Part, "key" | "errors" | "violations">[]): Way[] {
  const ways = new Map<string, Omit<Way, "things"> & { things: Set<string> }>();
  const add = (key: string, stage: string, text: string, thing: string): void => {
    const way = ways.get(`${stage}\0${text}`) ?? { stage, text, things: new Set(), images: new Set() };
    way.things.add(thing);
    way.images.add(key);
    ways.set(`${stage}\0${text}`, way);
  };
  for (const { key, errors, violations } of parts) {
    for (const { stage, code: name, message, wayOut } of errors)
      add(key, stage, wayOut ?? "Run the job again; if it fails again, its log says more.", `${name}: ${message}`);
    for (const { stage, wayOut, thing } of violations) add(key, stage, wayOut, thing);
  }
  return [...ways.values()].map(({ things, ...way }) => ({ ...way, things: [...things] }));
}
