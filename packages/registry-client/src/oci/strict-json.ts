import { endOfString } from "@goldenpath/foundation/text/json";

/**
 * Looks for what JSON readers disagree about, in text that JSON.parse has accepted: a key that an object has twice.
 * JavaScript keeps the last one; Go, in which the container runtimes are written, merges both into one value.
 */
export function findDuplicateKey(text: string): string | undefined {
  // One set of keys per open object, undefined per open array. A string is a key where the last significant character
  // before it was `{` or `,` of an object.
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = endOfString(text, at);
        const keys = expectsKey ? open.at(-1) : undefined;
        if (keys !== undefined) {
          const raw = text.slice(at + 1, end);
          // By what it means: `a` may be written `\u0061`. One string, which has no depth.
          const key = raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw;
          if (keys.has(key)) return key;
          keys.add(key);
          expectsKey = false;
        }
        at = end;
        break;
      }
      case 0x7b: // {
        open.push(new Set());
        expectsKey = true;
        break;
      case 0x5b: // [
        open.push(undefined);
        expectsKey = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        expectsKey = open.at(-1) !== undefined;
    }
  }
  return undefined;
}

const quote = 0x22;

/** Whether {@link hasPrototypeKey} need be asked of it: the key can't be there where neither it nor an escape is. */
export function mayHavePrototypeKey(text: string): boolean {
  return text.includes("__proto__") || text.includes("\\");
}

/**
 * Whether an object in it has the key `__proto__`: a key as any other in JSON and in Go, and one that JavaScript loses
 * as soon as the object is copied, so that a list of referrers written again would have less in it.
 */
export function hasPrototypeKey(value: unknown): boolean {
  // A list of what is to be looked at, not a call for each: how deep it goes is for who wrote it to say.
  const rest = [value];
  while (rest.length > 0) {
    const each = rest.pop();
    if (typeof each !== "object" || each === null) continue;
    if (Object.hasOwn(each, "__proto__")) return true;
    for (const inner of Object.values(each)) rest.push(inner);
  }
  return false;
}

/** The fields that are decided on, per object; `*` stands for each element of a list. */
export interface KnownFields {
  names: readonly string[];
  inside?: Readonly<Record<string, KnownFields>>;
}

/**
 * A key that is a known field in another case (`Layers`): Go's decoder takes it for the field, JavaScript does not see
 * it, and each would then judge another image under the same digest. Returns the key, or undefined. Go folds two
 * letters beyond ASCII as well: the long s and the Kelvin sign.
 */
export function findMisspelledField(value: unknown, fields: KnownFields): string | undefined {
  if (Array.isArray(value)) {
    // No list of lists has known fields, and one that is deep enough would end in no error of ours.
    const objects = value.filter((each) => !Array.isArray(each));
    return objects.map((each) => findMisspelledField(each, fields)).find((found) => found !== undefined);
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (!fields.names.includes(key) && foldedNames(fields).has(foldCase(key))) return key;
    // By its own keys alone: a stranger's key may be called `valueOf`.
    const within = fields.inside !== undefined && Object.hasOwn(fields.inside, key) ? fields.inside[key] : undefined;
    const found = within === undefined ? undefined : findMisspelledField(inner, within);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every image has keys that are no known fields, so each object's fields are folded once. */
const folded = new WeakMap<KnownFields, ReadonlySet<string>>();

function foldedNames(fields: KnownFields): ReadonlySet<string> {
  const known = folded.get(fields) ?? new Set(fields.names.map(foldCase));
  folded.set(fields, known);
  return known;
}

function foldCase(key: string): string {
  return key.replaceAll("\u017f", "s").toLowerCase();
}
