// The quick start with a TypeScript client that was generated from the service's own document (docs/clients.md).
//
// node quick_start.js http://127.0.0.1:8080 "$SECATEUR_KEY" model.onnx images.zip smaller.onnx

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["ProblemView"];

const [url, key, model, images, out] = process.argv.slice(2) as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

/** Return the answer; a refusal says what was found and what to do. */
function told<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) {
    throw new Error(answer.error ? `${answer.error.code}: ${answer.error.detail}` : "The service answered nothing.");
  }
  return answer.data;
}

/** Send a file whole and return its upload's id. */
async function upload(path: string, kind: "model" | "dataset"): Promise<string> {
  const content = await readFile(path);
  const answer = await client.PUT("/v1/files", {
    params: { query: { filename: basename(path), kind } },
    headers: { "Content-Type": "application/octet-stream" },
    body: "", // bytes are text to OpenAPI; what is sent is made in the next line
    bodySerializer: () => content,
  });
  return told(answer).id;
}

const [network, pictures] = [await upload(model, "model"), await upload(images, "dataset")];
const named = told(await client.POST("/v1/models", { body: { upload_id: network } }));
const dataset = told(await client.POST("/v1/datasets", { body: { upload_id: pictures } }));

let job = told(
  await client.POST("/v1/jobs", {
    params: { header: { "Idempotency-Key": `quick-start-${named.id}` } },
    body: { model_id: named.id, dataset_id: dataset.id, recipe: { target: { units: 2 }, budget_seconds: 30 } },
  }),
);
while (job.finished_at === null) {
  job = told(
    await client.GET("/v1/jobs/{job_id}", {
      params: { path: { job_id: job.id }, header: { Prefer: "wait=30" } },
    }),
  );
}
if (job.error !== null) {
  throw new Error(`${job.error.code}: ${job.error.detail}`);
}

const { artifacts } = told(await client.GET("/v1/jobs/{job_id}/artifacts", { params: { path: { job_id: job.id } } }));
const delivered = artifacts.find((file) => file.role === "model");
if (delivered === undefined) {
  throw new Error("The job delivered no model.");
}
const answer = await client.GET("/v1/artifacts/{artifact_id}/content", {
  params: { path: { artifact_id: delivered.id } },
  parseAs: "arrayBuffer",
});
const content = Buffer.from(told<ArrayBuffer>(answer));
if (createHash("sha256").update(content).digest("hex") !== delivered.sha256) {
  throw new Error("The file is not the one that the service delivered.");
}
await writeFile(out, content);
console.log(JSON.stringify({ outcome: job.outcome, sha256: delivered.sha256, size_bytes: content.length }));
