import { Document, isMap, isScalar, isSeq, type Node, type YAMLMap } from "yaml";
import {
  chainInputs,
  chainJobs,
  chainOutputs,
  chainSecrets,
  compactChain,
  compactInputs,
  compactSecrets,
  fullChain,
} from "./chain.ts";
import { type Collection, collectionJobs, collections } from "./collection.ts";
import {
  goldenBaseComment,
  goldenBaseFile,
  goldenBaseInputs,
  goldenBaseJobs,
  goldenBaseOutputs,
  goldenBaseSecrets,
} from "./golden-base.ts";
import { keyOf, passphraseOf } from "./inputs.ts";
import { judge } from "./judge-stage.ts";
import { mirrorComment, mirrorFile, mirrorInputs, mirrorJobs, mirrorSecrets } from "./mirror-data.ts";
import {
  fleetRebaseComment,
  fleetRebaseFile,
  fleetRebaseInputs,
  fleetRebaseJobs,
  rebaseImageComment,
  rebaseImageFile,
  rebaseImageInputs,
  rebaseImageJobs,
  rebaseImageOutputs,
  rebaseSecrets,
} from "./rebase-image.ts";
import { rebase } from "./rebase-stage.ts";
import type { Inputs, Mapping, Output, Place, SignerName, StageRow } from "./shape.ts";
import { fileOf } from "./stage-jobs.ts";
import { stageRows } from "./stages.ts";

const chainComment = [
  "The whole path: build → base and scan, side by side → promote. It only chains the stages: each stage is a workflow of its own, because a reusable",
  "workflow's identity is its own file, and that is what keeps one stage from signing for another. Between the jobs goes the image's digest, nothing else.",
].join("\n");
const compactComment = [
  "The whole path in fewer jobs: build → judge → promote. One job attests, judges the base and scans, under one identity that the policy lists for the three stages: whoever breaks",
  "its scanner speaks for the build as well. golden-path.yml keeps them apart, at the price of two jobs more for each image. Between the jobs goes the image's digest, nothing else.",
].join("\n");
const secretsComment = [
  "Each secret has one name from the environment that keeps it to the step that uses it: GitHub lets an environment's secret stand in for a passed one only",
  "under the same name, and none of these has to be given where an environment keeps it. With `signer: keyless` there is no key at all; with the others, sign and promote refuse",
  "to start without one.",
].join("\n");

type Secrets = Readonly<Record<string, string>>;

/**
 * The workflows of the path for one place, by their files' names: the same names everywhere, since a name is an
 * identity.
 */
export function renderWorkflows(place: Place): Record<string, string> {
  const chain = (comment: string, name: string, of: typeof fullChain, inputs: Inputs, secrets: Secrets): string =>
    renderWorkflow(comment, {
      name,
      on: {
        workflow_call: {
          inputs: declareInputs(inputs, place),
          "#secrets": secretsComment,
          secrets: declareSecrets(secrets),
          outputs: declareOutputs(chainOutputs),
        },
      },
      permissions: {},
      jobs: chainJobs(of, place.workflow),
    });
  return {
    "golden-path.yml": chain(chainComment, "goldenpath", fullChain, chainInputs, chainSecrets),
    "golden-path-compact.yml": chain(compactComment, "goldenpath compact", compactChain, compactInputs, compactSecrets),
    ...Object.fromEntries(collections.map((each) => [each.file, renderCollection(each, place)])),
    [mirrorFile]: renderWorkflow(mirrorComment, {
      name: "goldenpath mirror data",
      on: {
        workflow_call: {
          inputs: declareInputs(mirrorInputs, place),
          "#secrets": secretsComment,
          secrets: declareSecrets(mirrorSecrets),
        },
      },
      permissions: {},
      jobs: mirrorJobs(place),
    }),
    [rebaseImageFile]: renderWorkflow(rebaseImageComment, {
      name: "goldenpath rebase image",
      on: {
        workflow_call: {
          inputs: declareInputs(rebaseImageInputs, place),
          "#secrets": secretsComment,
          secrets: declareSecrets(rebaseSecrets),
          outputs: declareOutputs(rebaseImageOutputs),
        },
      },
      permissions: {},
      jobs: rebaseImageJobs(place),
    }),
    [fleetRebaseFile]: renderWorkflow(fleetRebaseComment, {
      name: "goldenpath fleet rebase",
      on: {
        workflow_call: {
          inputs: declareInputs(fleetRebaseInputs, place),
          "#secrets": secretsComment,
          secrets: declareSecrets(rebaseSecrets),
        },
      },
      permissions: {},
      jobs: fleetRebaseJobs(place),
    }),
    [goldenBaseFile]: renderWorkflow(goldenBaseComment, {
      name: "goldenpath golden base",
      on: {
        workflow_call: {
          inputs: declareInputs(goldenBaseInputs, place),
          "#secrets": secretsComment,
          secrets: declareSecrets(goldenBaseSecrets),
          outputs: declareOutputs(goldenBaseOutputs),
        },
      },
      permissions: {},
      jobs: goldenBaseJobs(place),
    }),
    ...Object.fromEntries([...stageRows, judge, rebase].map((row) => [fileOf(row.name), renderStage(row, place)])),
  };
}

function renderCollection(collection: Collection, place: Place): string {
  const { name, comment, inputs, secrets } = collection;
  return renderWorkflow(comment, {
    name,
    on: {
      workflow_call: {
        inputs: declareInputs(inputs, place),
        "#secrets": secretsComment,
        secrets: declareSecrets(secrets),
      },
    },
    permissions: {},
    jobs: collectionJobs(collection, place),
  });
}

const whoSigns = (name: SignerName): string =>
  name === "judge" ? "what judges" : name === "rebase" ? "who attests rebases" : `the ${name} stage`;

function renderStage(row: StageRow, place: Place): string {
  const secrets = {
    [keyOf(row.name)]: `The private key of ${whoSigns(row.name)} (PEM, or as made by cosign).`,
    [passphraseOf(row.name)]: "The passphrase of that key, where it has one.",
    ...row.logins,
  };
  return renderWorkflow(row.comment, {
    name: `goldenpath stage ${row.name}`,
    on: {
      workflow_call: {
        inputs: declareInputs(row.inputs, place),
        secrets: declareSecrets(secrets),
        outputs: declareOutputs(row.outputs),
      },
    },
    permissions: {},
    jobs: { ...row.jobs(place) },
  });
}

function declareInputs(inputs: Inputs, place: Place): Mapping {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => [
      name,
      {
        description: input.description,
        ...(input.default === undefined
          ? { required: true }
          : { default: name === "signer" ? place.signer : input.default }),
        type: typeof input.default === "boolean" ? "boolean" : "string",
      },
    ]),
  );
}

/** None is required: each may be kept by an environment instead of being passed. */
function declareSecrets(secrets: Secrets): Mapping {
  return Object.fromEntries(
    Object.entries(secrets).map(([name, description]) => [name, { description, required: false }]),
  );
}

function declareOutputs(outputs: Readonly<Record<string, Output>>): Mapping {
  return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, { ...output }]));
}

function renderWorkflow(comment: string, content: Mapping): string {
  const document = new Document(content, { aliasDuplicateObjects: false });
  const root = document.contents as unknown as YAMLMap;
  moveComments(root);
  for (const name of ["permissions", "jobs"]) spaceBefore(root, name);
  const jobs = root.get("jobs");
  if (isMap(jobs)) for (const { key } of jobs.items.slice(1)) spaceBefore(jobs, String(key));
  return `${comment.replaceAll(/^(?=.)/gm, "# ").replaceAll(/^$/gm, "#")}\n${document.toString({ lineWidth: 0, singleQuote: true, flowCollectionPadding: false })}`;
}

function spaceBefore(map: YAMLMap, name: string): void {
  const key = map.items.find((item) => isScalar(item.key) && item.key.value === name)?.key;
  if (isScalar(key)) key.spaceBefore = true;
}

/** Makes comments of what stands for one: keys that begin with `#`, and the version after a pinned commit. */
function moveComments(node: Node): void {
  if (isSeq(node)) {
    for (const item of node.items) moveComments(item as Node);
    if (node.items.every((item) => isScalar(item))) node.flow = true;
  } else if (isMap(node)) {
    for (const { key, value } of [...node.items]) {
      const name = isScalar(key) ? String(key.value) : "";
      if (!name.startsWith("#")) {
        moveComments(value as Node);
        continue;
      }
      node.delete(name);
      const target =
        name === "#" ? node : node.items.find((item) => isScalar(item.key) && item.key.value === name.slice(1))?.key;
      if (isScalar(value)) (target as Node).commentBefore = String(value.value).replaceAll(/^/gm, " ");
    }
  } else if (isScalar(node) && typeof node.value === "string") {
    const [, pin, version] = /^(\S+@[0-9a-f]{40}) # (\S+)$/.exec(node.value) ?? [];
    if (pin !== undefined) Object.assign(node, { value: pin, comment: ` ${version}` });
  }
}
