// README's pictures of the comment, the job summary and the page, from the chains that people review: docs/images. It
// needs Debian's chromium and fonts-noto-color-emoji, and is run by hand after a change of what they show.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import { openBrowser } from "../test/support/browser.ts";
import { showChain } from "../test/support/shown.ts";
import { shownChains } from "../test/support/shown-chains.ts";
import { root } from "./steps.ts";

/** Near enough to how GitHub shows Markdown; its own style is not ours to ship. */
const style = `:root{color-scheme:light dark}
body{margin:0;padding:24px;font:14px/1.5 system-ui,sans-serif;color:light-dark(#1f2328,#e6edf3);background:light-dark(#fff,#0d1117)}
h3{font-size:1.25em;margin:0 0 16px}p,ul,ol,table,details{margin:0 0 16px}
table{border-collapse:collapse;display:block;overflow:auto}
th,td{border:1px solid light-dark(#d0d7de,#30363d);padding:6px 13px;text-align:left}
code{font:85% ui-monospace,monospace;background:light-dark(#eff1f3,#2a313c);padding:.2em .4em;border-radius:6px;overflow-wrap:break-word}
a{color:light-dark(#0969da,#58a6ff)}.box{border:1px solid light-dark(#d0d7de,#30363d);border-radius:6px;max-width:880px}
.box>p:first-child{margin:0;padding:8px 16px;background:light-dark(#f6f8fa,#161b22);border-bottom:1px solid light-dark(#d0d7de,#30363d)}
.box>div{padding:16px}`;

function frame(title: string, markdown: string): string {
  const body = micromark(markdown, {
    allowDangerousHtml: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style>
<div class="box"><p><b>${title}</b></p><div>${body}</div></div></html>`;
}

const chain = shownChains.find(({ name }) => name === "scan-refused");
if (chain === undefined) throw new Error("there is no chain scan-refused");
const { comment, summary, page } = showChain(chain);
const folder = join(root, "docs/images");
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
try {
  for (const [name, html] of [
    ["comment", frame("github-actions bot commented", comment)],
    ["summary", frame("judge summary", summary)],
    ["page", page],
  ] as const) {
    for (const dark of [false, true]) {
      const opened = await browser.open(html, { dark, width: name === "page" ? 1280 : 930 });
      const path = join(folder, `${name}-${dark ? "dark" : "light"}.png`);
      if (name === "page") await opened.page.screenshot({ path, fullPage: true });
      else await opened.page.locator(".box").screenshot({ path });
      if (opened.faults.length > 0) throw new Error(opened.faults.join("\n"));
      console.log(path.slice(root.length + 1));
    }
  }
} finally {
  await browser.close();
}
