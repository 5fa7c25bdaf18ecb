/**
 * Whether a web server is to give out a file or folder of the application's: a checkout has what begins with a dot, as
 * `.env`, for others than visitors. `.well-known` is there to be served (RFC 8615).
 */
export function isServed(name) {
  return !name.startsWith(".") || name === ".well-known";
}
