import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ContentNote, ContentWatch } from "../../layers/contents.ts";

interface CredentialForm {
  what: string;
  /** What it always begins with: without one of these in a text, nothing else is looked for there. */
  begins: RegExp;
  /** Every quantifier has an end but where one character can be read in one way alone: a few steps for each byte. */
  form: RegExp;
  /** How many characters of what follows tell it from another: all keys of a kind begin with the same ones. */
  follows?: number;
  /** By a checksum, or by what its issuer gives as an example. */
  isReal?(text: string): boolean;
}

/** It begins a word: that may come after what JSON writes for the end of a line, or a URL for a sign. */
const asWord = ({ source }: RegExp): RegExp => new RegExp(`(?:\\b|(?<=\\\\[nrt]|%[0-9A-Fa-f]{2}))${source}`, "g");

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The last six of 36 characters are the CRC-32 of the others in base 62 (GitHub's and npm's post on their tokens' formats). */
function hasChecksum(text: string): boolean {
  const token = text.slice(-36);
  let rest = crc32(token.slice(0, 30));
  let expected = "";
  for (let at = 0; at < 6; at++) {
    expected = `${digits[rest % 62]}${expected}`;
    rest = Math.floor(rest / 62);
  }
  return token.endsWith(expected);
}

/**
 * Forms of which each is a credential wherever it stands, by their issuers' documentation. Google's `AIza…` is none: a
 * browser is meant to have it. An identifier without its secret is none either.
 */
const forms: readonly CredentialForm[] = [
  {
    what: "a private key",
    begins: /-----BEGIN /,
    // In front of its lines may be what a YAML file, a comment or another program's text has there.
    form: /-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH) )?PRIVATE KEY-----(?:\\[rn]|[\s\\"'+,;#*|>]){1,80}[A-Za-z0-9+/]{32,}/g,
    follows: 512,
  },
  {
    what: "a private key of PGP",
    begins: /-----BEGIN /,
    form: /-----BEGIN PGP PRIVATE KEY BLOCK-----/g,
    follows: 512,
  },
  {
    what: "a private key to sign with (JWK)",
    begins: /"kty\\{0,2}"/,
    // In one object, in any order: canonical JSON has `d` first. Between two braces each character is read once.
    form: /\{[^{}]{60,8000}\}/g,
    isReal: (text) =>
      /"kty\\{0,2}"\s{0,4}:\s{0,4}\\{0,2}"(?:RSA|EC|OKP)\\{0,2}"/.test(text) &&
      /"d\\{0,2}"\s{0,4}:\s{0,4}\\{0,2}"[A-Za-z0-9_-]{40,}\\{0,2}"/.test(text),
  },
  {
    what: "an access key of AWS with its secret",
    begins: /A[KS]IA/,
    // Up to the next identifier, so that an example's takes no other's secret, and each character is read once.
    form: asWord(
      /A[KS]IA(?![A-Z2-7]{0,9}EXAMPLE)[A-Z2-7]{16}\b(?:(?!A[KS]IA)[\s\S]){1,160}?(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/,
    ),
    isReal: (text) => !text.slice(-40).includes("EXAMPLE"),
  },
  {
    what: "a secret key of AWS",
    begins: /(?:secret_access_key|SECRET_ACCESS_KEY|ecretAccessKey)/,
    form: /(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY|[sS]ecretAccessKey)\\?["']?(?:,?\s{1,40}["']?value["']?)?\s{0,4}[:=]\s{0,4}\\?["']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g,
    isReal: (text) => !text.includes("EXAMPLE"),
  },
  {
    what: "a token of GitHub",
    begins: /gh[pousr]_/,
    form: asWord(/gh[pousr]_[A-Za-z0-9]{36}(?![A-Za-z0-9])/),
    isReal: hasChecksum,
  },
  {
    what: "a token of GitHub (fine-grained)",
    begins: /github_pat_/,
    form: asWord(/github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?![A-Za-z0-9])/),
  },
  {
    what: "a token of GitLab",
    begins: /gl(?:pat|dt|rt|ptt|cbt|soat)-/,
    form: asWord(/gl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{20,}/),
  },
  {
    what: "a token of Slack",
    begins: /xox[abeoprs]-/,
    form: asWord(/xox[abeoprs]-(?:\d-)?\d{9,14}-[A-Za-z0-9-]{20,}/),
  },
  {
    what: "a webhook of Slack",
    begins: /hooks\.slack\.com/,
    form: /https:\/\/hooks\.slack\.com\/services\/T[A-Z0-9]{8,12}\/B[A-Z0-9]{8,12}\/[A-Za-z0-9]{24}/g,
  },
  {
    what: "a token of npm",
    begins: /npm_/,
    form: asWord(/npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/),
    isReal: hasChecksum,
  },
  {
    // A macaroon for pypi.org or test.pypi.org.
    what: "a token of PyPI",
    begins: /pypi-Ag/,
    form: asWord(/pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,}/),
  },
  {
    what: "a client secret of Google",
    begins: /GOCSPX-/,
    form: asWord(/GOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])/),
  },
  {
    what: "a secret key of Stripe",
    begins: /[rs]k_live_/,
    form: asWord(/[rs]k_live_[A-Za-z0-9]{24,}/),
  },
  {
    what: "a key of SendGrid",
    begins: /SG\./,
    form: asWord(/SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/),
  },
  {
    what: "a token of Docker Hub",
    begins: /dckr_pat_/,
    form: asWord(/dckr_pat_[A-Za-z0-9_-]{27}(?![A-Za-z0-9_-])/),
  },
  {
    what: "a token of Vault",
    begins: /hvs\./,
    form: asWord(/hvs\.[A-Za-z0-9_-]{90,}/),
  },
];

/** One of them for all: most texts have none. */
const anyBegins = new RegExp([...new Set(forms.map(({ begins }) => begins.source))].join("|"));

/** Characters that are looked at in one go, and of the end of one that the next begins with: no form is longer. */
const window = 1024 * 1024;
const overlap = 16 * 1024;
/** What begins with a zero byte in so many bytes is no text. */
const firstLook = 8192;
/** Of one file: more of them tell nobody more. */
const maxNotes = 100;
const maxTried = 1000;

/**
 * Looks through a file's content as it passes, whatever its size, for credentials that can be told by their form. A
 * file that is no text is not looked at. What is noted has no part of the credential: what it is, its line, and the
 * first 32 bits of its SHA-256, by which two of them are the same one.
 */
export function watchForCredentials(): ContentWatch {
  const notes = new Map<string, ContentNote>();
  let isText = true;
  /** Bytes of those that tell whether it is text. */
  let seen = 0;
  /** What looked like one so far. */
  let tried = 0;
  let text = "";
  /** Lines before `text`. */
  let lines = 0;
  const look = (isEnd: boolean): void => {
    if (!anyBegins.test(text)) return;
    for (const { what, begins, form, follows = 0, isReal } of forms) {
      if (!begins.test(text)) continue;
      const place = { at: 0, line: lines + 1 };
      for (const { 0: found, index } of text.matchAll(form)) {
        tried += 1;
        // One is enough to refuse the file, and an exception is for all that it has.
        if (notes.size >= maxNotes || (notes.size > 0 && tried > maxTried)) return;
        // What ends with the piece may go on in the next one, which begins with it. The others are told here: in the next
        // one what stands before them may be missing, by which they begin a word.
        const end = index + found.length;
        if (!isEnd && end + follows >= text.length && index >= text.length - overlap) continue;
        if (isReal?.(found) === false || isFilling(found)) continue;
        const rest = text.slice(end, end + follows).replace(/-----END.*/s, "");
        const hash = createHash("sha256").update(`${found}${rest}`, "latin1").digest("hex").slice(0, 8);
        // From the one before it on: a line may have thousands.
        place.line += countLines(text, index, place.at);
        place.at = index;
        const { line } = place;
        notes.set(`${what}\0${line}\0${hash}`, { what, line, hash });
      }
    }
  };
  return {
    add(bytes) {
      if (!isText) return;
      // Pieces come as the network has them, and what is text must not follow from that.
      if (bytes.subarray(0, Math.max(0, firstLook - seen)).includes(0)) {
        isText = false;
        text = "";
        return;
      }
      seen += bytes.length;
      text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
      if (text.length < window) return;
      look(false);
      const cut = text.length - overlap;
      lines += countLines(text, cut);
      text = text.slice(cut);
    },
    end() {
      look(true);
      return [...notes.values()];
    },
  };
}

/** `xxxx…`, `0000…`: what a text has in the place of one. */
function isFilling(found: string): boolean {
  return new Set(found.slice(-24)).size < 6;
}

function countLines(text: string, until: number, from = 0): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at !== -1 && at < until; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
