/**
 * `read`, which makes the same of the same object each time, asked once for each: for what was parsed from verified
 * bytes, is changed by nobody, and is read by many. What it gives is shared by all who ask. Nothing is held longer than
 * the object itself is.
 */
export function oncePer<Key extends object, Value>(read: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, { value: Value }>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found.value;
    const value = read(key);
    known.set(key, { value });
    return value;
  };
}
