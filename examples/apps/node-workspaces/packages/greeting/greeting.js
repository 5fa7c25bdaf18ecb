import escapeHtml from "escape-html";

export function greet(name) {
  return `<!doctype html><title>Golden path</title><h1>Hello, ${escapeHtml(name)}</h1><p>from a workspace of npm</p>`;
}
