import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { expect } from "vitest";
import {
  goldenLayer,
  openPathWorld,
  type PathPolicy,
  type PathRun,
  type PathWorld,
  passed,
  tell,
} from "./path-world.ts";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "./scan-world.ts";

/** Applications in vetted, each built, judged and promoted by its own keys, on the first of several versions of a base. */
export interface RolloutWorld extends PathWorld {
  rebaser: StageKey & { file: string };
  /** HOST/NAME@DIGEST of the base's versions, the oldest first. */
  versions: readonly string[];
  /** The policy in force, by its name, with its signer: arguments of the command line. */
  inForce: readonly string[];
  /** Puts the next policy in force. */
  enact(wanted: RolloutPolicy): Promise<PathPolicy>;
  /** Builds an application on the first version and takes it to vetted: HOST/vetted/NAME@DIGEST. */
  ship(policy: PathPolicy, name: string, more?: { tags?: string; version?: string }): Promise<string>;
  /** What a rebased image goes through: attested, judged, promoted; each of them may refuse. */
  attestRebased(policy: PathPolicy, image: string, from: string, key?: string): Promise<PathRun>;
  judge(policy: PathPolicy, image: string): Promise<void>;
  promote(policy: PathPolicy, image: string, name: string, tags: string): Promise<PathRun>;
}

export interface RolloutPolicy {
  /** How many of the versions the policy has. */
  versions: number;
  /** `rollout` in YAML's flow style. */
  rollout?: string;
  /** What else is another in the policy's text. */
  change?: (text: string) => string;
}

export async function openRolloutWorld(tools: Readonly<Partial<Record<string, string>>>): Promise<RolloutWorld> {
  const world = await openPathWorld({ tools });
  const { client, server, keys, root } = world;
  const key = await makeKey();
  const file = join(root, "rebaser.pem");
  await writeFile(file, key.privateKeyPem);
  const layers: TinyLayer[] = [await goldenLayer()];
  const versions = [world.base];
  const push = async (name: string, own: readonly TinyLayer[], tag?: string): Promise<string> => {
    const config = { Entrypoint: ["/srv/app"] };
    const repository = { registry: server.host, name };
    const { digest } = await pushTinyImage(client, repository, own, { config, ...(tag === undefined ? {} : { tag }) });
    return `${server.host}/${name}@${digest}`;
  };
  for (const version of ["2", "3"]) {
    const layer = await tinyLayer({
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
      "usr/lib/version": version,
    });
    layers.push(layer);
    versions.push(await push("bases/golden", [layer]));
  }
  let serial = 0;
  const enact = async (wanted: RolloutPolicy): Promise<PathPolicy> => {
    const rollout = wanted.rollout === undefined ? "" : `, rollout: ${wanted.rollout}`;
    const builders = `    - { name: node, buildpacks: ["${server.host}/buildpacks/node@${digestOf("node")}"], runImage: golden }
    - { kind: rebase, name: rebases, signers: [rebaser], buildMaxAge: 100d${rollout} }\n`;
    const written = await world.writePolicy({
      strategies: "buildpacks, rebase",
      builders,
      signers: { rebaser: key.publicKeyPem },
    });
    const digests = versions.slice(0, wanted.versions).map((each) => `"${each.split("@")[1]}"`);
    const { change = (same) => same } = wanted;
    const text = change(
      written.text
        .replace(/digests: \["sha256[^\]]*\] }\nbuild:/, `digests: [${digests.join(", ")}] }\nbuild:`)
        .replace("serial: 7", `serial: ${++serial}`)
        .replace("stage: build, signers: [build]", "stage: build, signers: [build, rebaser]"),
    );
    await writeFile(written.file, text);
    const policy = { file: written.file, text, digest: digestOf(text) };
    const loaded = { ...policy, uri: policy.file, policy: parsePolicy(Buffer.from(text), policy.file) };
    await putInForce(client, `${server.host}/vetted`, loaded as Parameters<typeof putInForce>[2], { keys });
    return policy;
  };
  const judge = async (policy: PathPolicy, image: string): Promise<void> => {
    for (const [stage, verb, inputs] of [
      ["base", enforceVerb, {}],
      ["scan", scanVerb, { database: exampleDatabase }],
    ] as const) {
      const outcome = await world.run(verb, policy, { image, ...inputs });
      expect(tell(outcome), stage).toEqual(passed);
      const signed = { image, results: outcome.file, key: keys[stage].file };
      expect(tell(await world.run(signVerb, policy, signed))).toEqual(passed);
    }
  };
  const promote = (policy: PathPolicy, image: string, name: string, tags: string): Promise<PathRun> =>
    world.run(promoteVerb, policy, {
      ...{ image, to: `${server.host}/vetted/${name}`, tags, environment: "production" },
      ...{ key: keys.promote.file, "policy-signer": keys.platform.publicKeyFile },
    });
  return {
    ...world,
    ...{ rebaser: { ...key, file }, versions, enact, judge, promote },
    inForce: [
      ...["--policy", `oci://${server.host}/vetted/goldenpath-policy:in-force`],
      ...["--policy-signer", keys.platform.publicKeyFile],
    ],
    attestRebased: (policy, image, from, by = file) => world.attest(policy, image, { "rebased-from": from, key: by }),
    async ship(policy, name, { tags = "1.0.0", version = "1" } = {}) {
      const [base] = layers;
      if (base === undefined) throw new TypeError("no base");
      const image = await push(`quarantine/${name}`, [base, await tinyLayer({ "srv/app": `${name} ${version}` })]);
      expect(tell(await world.attest(policy, image, { strategy: "buildpacks" }))).toEqual(passed);
      await judge(policy, image);
      const promoted = await promote(policy, image, name, tags);
      expect(tell(promoted)).toEqual(passed);
      return promoted.outputs["image"] ?? "";
    },
  };
}
