import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { readWorkflowIdentity } from "./certificate.ts";

// Certificates written byte by byte, as no authority's own code writes what is wrong with them.

const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const octets = (content: Uint8Array): Buffer => tlv(0x04, content);
const text = (content: string | Uint8Array): Buffer => tlv(0x0c, Buffer.from(content as string));
const number = (...bytes: number[]): Buffer => tlv(0x02, Buffer.from(bytes));
const yes = Buffer.from([0x01, 0x01, 0xff]);
const no = Buffer.from([0x01, 0x01, 0x00]);

function oid(name: string): Buffer {
  const [first = 0, second = 0, ...rest] = name.split(".").map(Number);
  const encode = (part: number): number[] => {
    const digits = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  };
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(encode)]));
}

const extension = (name: string, value: Uint8Array, ...critical: readonly Uint8Array[]): Buffer =>
  sequence(oid(name), ...critical, octets(value));
const fulcio = (last: number | string, value: Uint8Array): Buffer => extension(`1.3.6.1.4.1.57264.1.${last}`, value);

const workflow = "https://github.com/acme/platform/.github/workflows/stage-base.yml@refs/tags/v1.2.0";
const said = {
  8: "https://token.actions.githubusercontent.com",
  9: workflow,
  10: "c".repeat(40),
  11: "github-hosted",
  12: "https://github.com/acme/shop",
  13: "d".repeat(40),
  14: "refs/heads/main",
  17: "4321",
  18: `https://github.com/acme/shop/.github/workflows/golden-path.yml@${"r".repeat(200)}`,
  20: "push",
} as const;
const identity = {
  issuer: said[8],
  buildSignerUri: said[9],
  buildSignerDigest: said[10],
  runnerEnvironment: said[11],
  sourceRepository: said[12],
  sourceDigest: said[13],
  sourceRef: said[14],
  sourceOwnerId: said[17],
  buildConfigUri: said[18],
  buildTrigger: said[20],
};

const keyUsage = (bits: number): Buffer => extension("2.5.29.15", Buffer.from([0x03, 0x02, 0x02, bits]), yes);
const purposes = (...names: readonly string[]): Buffer => extension("2.5.29.37", sequence(...names.map(oid)));
const codeSigning = "1.3.6.1.5.5.7.3.3";
const named = (uri: string): Buffer => extension("2.5.29.17", sequence(tlv(0x86, Buffer.from(uri))), yes);

/** An honest certificate's extensions, by a name for each. */
const honest: Readonly<Record<string, Buffer>> = {
  usage: keyUsage(0x80),
  purposes: purposes(codeSigning),
  subject: named(workflow),
  ...Object.fromEntries(Object.entries(said).map(([last, value]) => [last, fulcio(last, text(value))])),
};

const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });
const time = (year: string): Buffer => tlv(0x17, Buffer.from(`${year}0101000000Z`));

function certificate(extensions: Readonly<Record<string, Buffer | undefined>>): Buffer {
  const listed = Object.values({ ...honest, ...extensions }).flatMap((each) => each ?? []);
  const head = [
    tlv(0xa0, number(2)),
    number(1),
    algorithm,
    sequence(),
    sequence(time("26"), time("27")),
    sequence(),
    key,
  ];
  return sequence(sequence(...head, tlv(0xa3, sequence(...listed))), algorithm, tlv(0x03, Buffer.from([0, 1])));
}

const read = (extensions: Readonly<Record<string, Buffer | undefined>> = {}) =>
  readWorkflowIdentity(certificate(extensions));
const problem = (says: string) => ({ problem: says });

test("a certificate for a run is read whole, with its environment or without", () => {
  expect(read()).toStrictEqual(identity);
  expect(read({ 23: fulcio(23, text("production")) })).toEqual({ ...identity, environment: "production" });
});

describe("what it says", () => {
  test.each(Object.keys(identity).map((name, index) => [name, Object.keys(said)[index] ?? ""]))(
    "has to have its %s",
    (name, last) => {
      expect(read({ [last]: undefined })).toEqual(
        problem(`it does not say its ${name} (extension 1.3.6.1.4.1.57264.1.${last})`),
      );
    },
  );

  test("is not there twice", () => {
    expect(read({ again: fulcio(12, text("https://github.com/acme/other")) })).toEqual(
      problem("it has the extension 1.3.6.1.4.1.57264.1.12 twice"),
    );
  });

  const malformed = problem("its buildTrigger (extension 1.3.6.1.4.1.57264.1.20) is not a UTF-8 string in DER");
  const long = (length: number): Buffer => Buffer.alloc(length, "x");
  test.each<[string, Buffer]>([
    ["a string of another kind", tlv(0x16, Buffer.from("push"))],
    ["no string", Buffer.from("push")],
    ["nothing", Buffer.alloc(0)],
    ["an empty string", text("")],
    ["bytes behind the string", Buffer.concat([text("push"), Buffer.from([0])])],
    ["a string that is longer than what is there", Buffer.from([0x0c, 0x05, 0x70, 0x75, 0x73, 0x68])],
    ["a short length in two bytes", Buffer.concat([Buffer.from([0x0c, 0x81, 0x04]), Buffer.from("push")])],
    ["a length of 127 in two bytes", Buffer.concat([Buffer.from([0x0c, 0x81, 0x7f]), long(127)])],
    ["a length of 255 in three bytes", Buffer.concat([Buffer.from([0x0c, 0x82, 0x00, 0xff]), long(255)])],
    ["a length in four bytes", Buffer.concat([Buffer.from([0x0c, 0x83, 0x00, 0x00, 0x04]), Buffer.from("push")])],
    [
      "a length in a byte that says of no more",
      Buffer.concat([Buffer.from([0x0c, 0x80, 0x00, 0x04]), Buffer.from("push")]),
    ],
    ["a length in three bytes of more", Buffer.concat([Buffer.from([0x0c, 0x83, 0x01, 0x00]), long(256)])],
    ["an indefinite length", Buffer.concat([Buffer.from([0x0c, 0x80]), Buffer.from("push"), Buffer.from([0, 0])])],
    ["what is not UTF-8", text(Buffer.from([0x70, 0xff]))],
    ["a byte order mark", text(Buffer.from("\ufeffpush"))],
    ["letters that look like others", text("pu\u0455h")],
    ["a space at its end", text("push ")],
    ["a space in it", text("pu sh")],
    ["a space before it", text(" push")],
    ["a line break", text("push\n")],
    ["a control character", text("push\u007f")],
  ])("is no %s", (_what, value) => {
    expect(read({ 20: fulcio(20, value) })).toEqual(malformed);
  });

  test.each([1, 126, 127, 128, 129, 254, 255, 256, 257, 300])("may have %d characters", (length) => {
    const trigger = "~!".repeat(200).slice(0, length);
    expect(read({ 20: fulcio(20, text(trigger)) })).toEqual({ ...identity, buildTrigger: trigger });
  });

  test("is held to as much where the environment is concerned", () => {
    expect(read({ 23: fulcio(23, text("")) })).toEqual(
      problem("its environment (extension 1.3.6.1.4.1.57264.1.23) is not a UTF-8 string in DER"),
    );
  });

  test("is of the workflow that its subject is", () => {
    const other = `${workflow}0`;
    expect(read({ subject: named(other) })).toEqual(problem(`its subject is ${other}, and its workflow ${workflow}`));
    expect(read({ subject: undefined })).toEqual(problem(`its subject is no URI, and its workflow ${workflow}`));
  });
});

describe("what it is for", () => {
  const constraints = (...parts: readonly Buffer[]): Buffer => extension("2.5.29.19", sequence(...parts), yes);
  test("is no authority's, by its constraints or its key's usage", () => {
    expect(read({ constraints: constraints(yes) })).toEqual(problem("it is an authority's"));
    expect(read({ usage: keyUsage(0x84) })).toEqual(problem("it is an authority's"));
    expect(read({ constraints: constraints() })).toEqual(identity);
  });

  test("is signatures", () => {
    expect(read({ usage: keyUsage(0x40) })).toEqual(problem("its key is not for signatures"));
    expect(read({ usage: undefined })).toEqual(problem("its key is not for signatures"));
    expect(read({ usage: keyUsage(0xc0) })).toEqual(identity);
  });

  test.each([
    ["nothing that it names", undefined],
    ["nothing that it names", purposes()],
    ["nothing that it names", extension("2.5.29.37", Buffer.alloc(0))],
    ["1.3.6.1.5.5.7.3.1", purposes("1.3.6.1.5.5.7.3.1")],
    [`${codeSigning}, 1.3.6.1.5.5.7.3.1`, purposes(codeSigning, "1.3.6.1.5.5.7.3.1")],
    [`1.3.6.1.5.5.7.3.8, ${codeSigning}`, purposes("1.3.6.1.5.5.7.3.8", codeSigning)],
    [`${codeSigning}, ${codeSigning}`, purposes(codeSigning, codeSigning)],
  ])("is not %s", (what, given) => {
    expect(read({ purposes: given })).toEqual(problem(`it is for ${what}, and not for signing code`));
  });

  test.each(["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"])("may be critical in %s, which is read", (name) => {
    const same: Record<string, Buffer> = {
      "2.5.29.15": keyUsage(0x80),
      "2.5.29.17": named(workflow),
      "2.5.29.19": constraints(),
      "2.5.29.37": extension("2.5.29.37", sequence(oid(codeSigning)), yes),
    };
    const place = { "2.5.29.15": "usage", "2.5.29.17": "subject", "2.5.29.19": "constraints", "2.5.29.37": "purposes" }[
      name
    ];
    expect(read({ [String(place)]: same[name] })).toEqual(identity);
  });

  test("is nothing where something is critical that is not read, and may have that otherwise", () => {
    const unknown = (...critical: readonly Buffer[]): Buffer => extension("2.5.29.30", sequence(), ...critical);
    expect(read({ unknown: unknown(yes) })).toEqual(
      problem("it has the critical extension 2.5.29.30, which is not understood"),
    );
    expect(read({ unknown: unknown(no) })).toEqual(identity);
    expect(read({ unknown: unknown() })).toEqual(identity);
  });
});

describe("bytes", () => {
  test.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["no certificate", Buffer.from("certificate")],
    ["a certificate that is cut off", certificate({}).subarray(0, -1)],
    ["an extension without a value", certificate({ unknown: sequence(oid("2.5.29.30")) })],
    ["an extension that is empty", certificate({ unknown: sequence() })],
  ])("that are %s are refused", (_what, bytes) => {
    expect(readWorkflowIdentity(bytes)).toEqual(problem(expect.any(String) as never));
  });

  test("behind a certificate are refused, and so is one that is not in DER", () => {
    const behind = Buffer.concat([certificate({}), Buffer.from([0])]);
    expect(readWorkflowIdentity(behind)).toEqual(problem("it is malformed"));
    // The same with a longer length than it takes.
    const short = certificate({});
    const content = short.subarray(4);
    const wide = Buffer.concat([Buffer.from([0x30, 0x83, 0x00, content.length >> 8, content.length & 0xff]), content]);
    expect(readWorkflowIdentity(short)).toEqual(identity);
    expect(readWorkflowIdentity(wide)).toEqual(problem("it is malformed"));
  });

  test("of an extension without a value are told", () => {
    for (const unknown of [sequence(), sequence(oid("2.5.29.30"))])
      expect(read({ unknown })).toEqual(problem("an extension of it has no value"));
  });
});
